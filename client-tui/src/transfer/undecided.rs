//! The conflicts of a job that wait for a decision, and the decisions that hold for those yet to come. Whoever shows them decides from
//! outside, while the job runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::model::conflict::{Choice, ConflictKind, Scope};

/// Conflicts of a job that wait at a time; then its walk waits too.
pub const UNDECIDED_MAX: usize = 1024;

/// Shared by a job and whoever started it.
#[derive(Debug, Default)]
pub struct Undecided(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last_id: u64,
    waiting: BTreeMap<u64, (ConflictKind, oneshot::Sender<Choice>)>,
    /// What was said for all of a kind.
    for_kind: [Option<Choice>; ConflictKind::ALL.len()],
}

/// What a conflict has to wait for.
#[derive(Debug)]
pub(super) enum Asked {
    /// It was decided with others before.
    Decided(Choice),
    /// Under this name; the decision will come.
    Open(u64, oneshot::Receiver<Choice>),
}

impl Undecided {
    /// Decides about what waits and, but for a single one, about all like it that are found later. What a kind does not offer stays
    /// undecided.
    pub fn decide(&self, scope: Scope, choice: Choice) {
        let decided: Vec<_> = {
            let mut table = self.table();
            let is_meant = |kind: ConflictKind| match scope {
                Scope::One(_) => false,
                Scope::Kind(meant) => kind == meant && kind.offers(choice),
                Scope::All => kind.offers(choice),
            };
            for kind in ConflictKind::ALL.into_iter().filter(|kind| is_meant(*kind)) {
                table.for_kind[kind as usize] = Some(choice);
            }
            let is_this = |id: u64, kind: ConflictKind| match scope {
                Scope::One(meant) => id == meant && kind.offers(choice),
                _ => is_meant(kind),
            };
            table.waiting.extract_if(.., |id, (kind, _)| is_this(*id, *kind)).collect()
        };
        for (_, (_, decision)) in decided {
            // A job that has stopped needs it no more.
            let _ = decision.send(choice);
        }
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.table().waiting.len()
    }

    pub(super) fn ask(&self, kind: ConflictKind) -> Asked {
        let mut table = self.table();
        if let Some(choice) = table.for_kind[kind as usize] {
            return Asked::Decided(choice);
        }
        let (decision, decided) = oneshot::channel();
        table.last_id += 1;
        let id = table.last_id;
        table.waiting.insert(id, (kind, decision));
        Asked::Open(id, decided)
    }

    /// Nobody waits for it any more.
    pub(super) fn withdraw(&self, id: u64) {
        self.table().waiting.remove(&id);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Ask(ConflictKind),
        Decide(Scope, Choice),
        Withdraw(u64),
    }

    fn kind() -> impl Strategy<Value = ConflictKind> {
        prop::sample::select(&ConflictKind::ALL[..])
    }

    fn scope() -> impl Strategy<Value = Scope> {
        prop_oneof![(1..40_u64).prop_map(Scope::One), kind().prop_map(Scope::Kind), Just(Scope::All)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => kind().prop_map(Step::Ask),
            2 => (scope(), prop::sample::select(&Choice::ALL[..])).prop_map(|(scope, choice)| Step::Decide(scope, choice)),
            1 => (1..40_u64).prop_map(Step::Withdraw),
        ]
    }

    proptest! {
        #[test]
        fn each_conflict_is_decided_exactly_once_and_only_as_its_kind_allows(
            steps in prop::collection::vec(step(), 1..80),
        ) {
            let undecided = Undecided::default();
            let mut open = BTreeMap::new();
            let mut decided = 0;
            let mut asked = 0;
            let mut withdrawn = 0;
            for step in steps {
                match step {
                    Step::Ask(kind) => {
                        asked += 1;
                        match undecided.ask(kind) {
                            Asked::Decided(choice) => {
                                prop_assert!(kind.offers(choice));
                                decided += 1;
                            }
                            Asked::Open(id, decision) => prop_assert!(open.insert(id, (kind, decision)).is_none()),
                        }
                    }
                    Step::Decide(scope, choice) => undecided.decide(scope, choice),
                    Step::Withdraw(id) => {
                        undecided.withdraw(id);
                        withdrawn += usize::from(open.remove(&id).is_some());
                    }
                }
                open.retain(|_, (kind, decision)| match decision.try_recv() {
                    Ok(choice) => {
                        assert!(kind.offers(choice));
                        decided += 1;
                        false
                    }
                    Err(oneshot::error::TryRecvError::Empty) => true,
                    Err(oneshot::error::TryRecvError::Closed) => panic!("decided twice, or never"),
                });
                prop_assert_eq!(undecided.count(), open.len());
            }
            // Every kind can be skipped.
            undecided.decide(Scope::All, Choice::Skip);
            for (_, (_, mut decision)) in open {
                prop_assert_eq!(decision.try_recv(), Ok(Choice::Skip));
                decided += 1;
            }
            prop_assert_eq!(decided + withdrawn, asked);
            prop_assert_eq!(undecided.count(), 0);
        }
    }
}
