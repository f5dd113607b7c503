//! Keeps one client from filling the audit log with what is worth little: of the same failure again and again the first of a second are told
//! and the rest are summed, and a client that writes more than its share of an hour is summed altogether. Nothing is left out without being
//! counted. It knows no file.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// Lines of one kind of failure of one client that are told of each second.
const REPEATS_TOLD: u64 = 8;
/// Time over which lines are summed.
const SUM_TIME: Duration = Duration::from_secs(1);
/// Clients that are counted one by one; further ones share one budget.
const CLIENTS_MAX: usize = 4096;
const HOUR_SECONDS: f64 = 3600.0;

/// The remaining budget of each client.
#[derive(Debug)]
pub(super) struct Budgets {
    bytes_per_hour: f64,
    clients: HashMap<String, Client>,
}

#[derive(Debug)]
struct Client {
    /// Fields that say who it is.
    named: Map<String, Value>,
    left: f64,
    counted: Instant,
    /// When the second began in which the numbers below were counted.
    since: Instant,
    repeats: HashMap<String, u64>,
    summed: BTreeMap<String, u64>,
}

/// The fate of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Told,
    /// Counted, to be told with others.
    Summed,
    /// Like `Summed`, and the first of its second: its sum is due later.
    FirstSummed,
}

impl Budgets {
    pub(super) fn new(bytes_per_hour: u64) -> Self {
        Self { bytes_per_hour: bytes_per_hour as f64, clients: HashMap::new() }
    }

    /// Judges a line of so many bytes.
    pub(super) fn judge(&mut self, fields: &Value, bytes: usize, now: Instant) -> Verdict {
        let event = fields["event"].as_str().unwrap_or_default();
        let mut who = who(fields, event);
        if self.clients.len() >= CLIENTS_MAX && !self.clients.contains_key(&who) {
            "others".clone_into(&mut who);
        }
        let full = self.bytes_per_hour;
        let client = self.clients.entry(who).or_insert_with(|| Client {
            named: named(fields),
            left: full,
            counted: now,
            since: now,
            repeats: HashMap::new(),
            summed: BTreeMap::new(),
        });
        client.refill(full, now);
        if client.summed.is_empty() && now.duration_since(client.since) >= SUM_TIME {
            client.since = now;
            client.repeats.clear();
        }
        let is_repeat = is_failure(event) && {
            let times = client.repeats.entry(event.to_owned()).or_default();
            *times += 1;
            *times > REPEATS_TOLD
        };
        if !is_repeat && client.left >= bytes as f64 {
            client.left -= bytes as f64;
            return Verdict::Told;
        }
        let is_first = client.summed.is_empty();
        *client.summed.entry(event.to_owned()).or_default() += 1;
        if is_first { Verdict::FirstSummed } else { Verdict::Summed }
    }

    /// The lines of the seconds that have ended; of all where the log `ends`.
    pub(super) fn sums(&mut self, now: Instant, ends: bool) -> Vec<Value> {
        let full = self.bytes_per_hour;
        let mut lines = Vec::new();
        for client in self.clients.values_mut() {
            if client.summed.is_empty() || (!ends && now.duration_since(client.since) < SUM_TIME) {
                continue;
            }
            let summed = std::mem::take(&mut client.summed);
            let mut fields = client.named.clone();
            fields.insert("event".to_owned(), "summed".into());
            fields.insert("seconds".to_owned(), json!(now.duration_since(client.since).as_secs_f64().ceil()));
            fields.insert(
                "lines".to_owned(),
                summed.values().fold(0, |sum: u64, count| sum.saturating_add(*count)).into(),
            );
            fields.insert("of".to_owned(), json!(summed));
            lines.push(Value::Object(fields));
            client.since = now;
            client.repeats.clear();
        }
        self.clients.retain(|_, client| {
            client.refill(full, now);
            client.left < full || !client.summed.is_empty() || now.duration_since(client.since) < SUM_TIME
        });
        lines
    }

    /// Returns whether a sum is pending.
    pub(super) fn has_sums(&self) -> bool {
        self.clients.values().any(|client| !client.summed.is_empty())
    }
}

impl Client {
    fn refill(&mut self, full: f64, now: Instant) {
        let passed = now.duration_since(self.counted).as_secs_f64();
        self.left = passed.mul_add(full / HOUR_SECONDS, self.left).min(full);
        self.counted = now;
    }
}

/// Whose line it is. All who are not let in are one: they have no name that means anything.
fn who(fields: &Value, event: &str) -> String {
    match &fields["client_id"] {
        Value::Number(id) => format!("client {id}"),
        _ if event == "refused" => "refused".to_owned(),
        _ => fields["peer"].as_str().unwrap_or_default().to_owned(),
    }
}

fn named(fields: &Value) -> Map<String, Value> {
    let names = ["peer", "client_id", "client"];
    let named = names.iter().filter(|name| !fields[**name].is_null());
    named.map(|name| ((*name).to_owned(), fields[*name].clone())).collect()
}

fn is_failure(event: &str) -> bool {
    event.starts_with("not_") || event == "refused"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(client: u32, event: &str) -> Value {
        json!({ "event": event, "peer": "192.0.2.1:5", "client_id": client, "client": "ann", "path": "/x" })
    }

    #[test]
    fn f74_the_same_failure_again_and_again_is_summed_a_second_and_no_other_client_with_it() {
        let (mut budgets, now) = (Budgets::new(1 << 20), Instant::now());
        let verdicts: Vec<_> = (0..100).map(|_| budgets.judge(&line(1, "not_looked"), 300, now)).collect();
        let told = verdicts.iter().filter(|verdict| **verdict == Verdict::Told).count();
        assert_eq!((told as u64, verdicts[told]), (REPEATS_TOLD, Verdict::FirstSummed));
        assert_eq!(budgets.judge(&line(1, "uploaded"), 300, now), Verdict::Told, "what was done is told");
        assert_eq!(budgets.judge(&line(2, "not_looked"), 300, now), Verdict::Told);
        assert_eq!(budgets.sums(now, false), Vec::<Value>::new());
        let later = now + SUM_TIME;
        let sums = budgets.sums(later, false);
        assert_eq!(
            (sums.len(), &sums[0]["lines"], &sums[0]["of"]["not_looked"]),
            (1, &json!(92), &json!(92))
        );
        assert_eq!((&sums[0]["client_id"], &sums[0]["client"]), (&json!(1), &json!("ann")));
        assert_eq!(budgets.judge(&line(1, "not_looked"), 300, later), Verdict::Told, "another second");
        assert!(!budgets.has_sums());
    }

    #[test]
    fn f74_who_has_filled_its_share_is_summed_until_an_hour_has_passed() {
        let (mut budgets, now) = (Budgets::new(10_000), Instant::now());
        let verdicts: Vec<_> = (0..100).map(|_| budgets.judge(&line(1, "uploaded"), 1000, now)).collect();
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Told).count(), 10);
        assert_eq!(budgets.sums(now, true)[0]["of"], json!({ "uploaded": 90 }));
        let half = now + Duration::from_mins(30);
        let verdicts: Vec<_> = (0..100).map(|_| budgets.judge(&line(1, "uploaded"), 1000, half)).collect();
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Told).count(), 5);
    }

    #[test]
    fn f74_however_many_come_the_table_is_bounded_and_those_who_are_not_let_in_are_one() {
        let (mut budgets, now) = (Budgets::new(10_000), Instant::now());
        for client in 0..2 * CLIENTS_MAX as u32 {
            budgets.judge(&line(client, "uploaded"), 100, now);
        }
        assert!(budgets.clients.len() <= CLIENTS_MAX + 1);
        let mut budgets = Budgets::new(10_000);
        for port in 0..100 {
            let fields = json!({ "event": "refused", "peer": format!("192.0.2.1:{port}") });
            budgets.judge(&fields, 100, now);
        }
        assert_eq!(budgets.clients.len(), 1);
        let hours = now + Duration::from_hours(2);
        budgets.sums(hours, false);
        budgets.sums(hours + SUM_TIME, false);
        assert!(budgets.clients.is_empty(), "who says nothing is forgotten");
    }
}
