//! Every bound that towd's owner may move: its name, default, range and meaning in one table, which is also what `--help` prints. What
//! the protocol itself fixes is in PROTOCOL.md; a peer may lower what is agreed with it, and raise nothing. Zero never means unlimited.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{anyhow, bail};
use towpath_files::memory::MEMORY_BYTES;
use towpath_files::service::StoreLimits;
use towpath_protocol::hello;
use towpath_protocol::limits::{
    FRAME_BYTES_LEAST, FRAME_BYTES_MAX, HELLO_SECONDS_MAX, RANGE_BYTES, REQUESTS_IN_FLIGHT_MAX,
    STREAMS_DEFAULT, UPLOAD_CREDIT_BYTES_MAX,
};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const DAY: u64 = 24 * 3600;
/// A bound that does not bind, where there may be one.
const NONE: u64 = u64::MAX;

/// Bounds of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuditLimits {
    /// One file's.
    pub(crate) bytes_max: u64,
    /// Older ones that are kept.
    pub(crate) files_max: u64,
    /// Least time between rotations, unless the file is full.
    pub(crate) turn_time: Duration,
    /// Bytes that one client may write in an hour before its lines are summed.
    pub(crate) client_bytes_per_hour: u64,
}

/// What is bounded. The order is the table's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Greeting,
    GreetingSeconds,
    Sessions,
    SessionsPerClient,
    Streams,
    IdleSeconds,
    StallSeconds,
    FrameBytes,
    Requests,
    Uploads,
    UploadCreditBytes,
    UploadRoomBytes,
    MemoryBytes,
    DiskReserveBytes,
    PartsKeptSeconds,
    QuotaBytes,
    PairingFailures,
    PairingForgivenSeconds,
    AuditBytes,
    AuditFiles,
    AuditTurnSeconds,
    AuditClientBytes,
}

struct Row {
    limit: Limit,
    name: &'static str,
    default: u64,
    least: u64,
    most: u64,
    about: &'static str,
}

const fn row(
    limit: Limit,
    name: &'static str,
    default: u64,
    (least, most): (u64, u64),
    about: &'static str,
) -> Row {
    Row { limit, name, default, least, most, about }
}

const TABLE: &[Row] = &[
    row(Limit::Greeting, "greeting", 256, (8, 65_536), "not let in yet; the address with most makes place"),
    row(
        Limit::GreetingSeconds,
        "greeting_seconds",
        HELLO_SECONDS_MAX,
        (1, 60),
        "from the accept until a client is let in",
    ),
    row(Limit::Sessions, "sessions", 1024, (1, 65_536), "sessions open"),
    row(Limit::SessionsPerClient, "sessions_per_client", 64, (1, 65_536), "of them, one client's"),
    row(
        Limit::Streams,
        "streams",
        STREAMS_DEFAULT as u64,
        (1, 16),
        "connections of one session; each counts in `sessions`",
    ),
    row(
        Limit::IdleSeconds,
        "idle_seconds",
        600,
        (1, 7 * DAY),
        "a session says nothing and awaits nothing (tow pings every 15)",
    ),
    row(
        Limit::StallSeconds,
        "stall_seconds",
        120,
        (1, DAY),
        "a client takes none of what waits for it, or one of its streams hangs",
    ),
    row(
        Limit::FrameBytes,
        "frame_bytes",
        FRAME_BYTES_MAX as u64,
        (FRAME_BYTES_LEAST as u64, FRAME_BYTES_MAX as u64),
        "one frame of an open session (before that 16 KiB)",
    ),
    row(
        Limit::Requests,
        "requests",
        REQUESTS_IN_FLIGHT_MAX as u64,
        (4, REQUESTS_IN_FLIGHT_MAX as u64),
        "requests of one session unanswered at a time",
    ),
    row(
        Limit::Uploads,
        "uploads",
        REQUESTS_IN_FLIGHT_MAX as u64,
        (1, REQUESTS_IN_FLIGHT_MAX as u64),
        "uploads of one client open at a time",
    ),
    row(
        Limit::UploadCreditBytes,
        "upload_credit_bytes",
        UPLOAD_CREDIT_BYTES_MAX,
        (RANGE_BYTES, UPLOAD_CREDIT_BYTES_MAX),
        "of one upload, sent and not written yet",
    ),
    row(Limit::UploadRoomBytes, "upload_room_bytes", 40 * MIB, (MIB, 64 * GIB), "of all uploads together"),
    row(
        Limit::MemoryBytes,
        "memory_bytes",
        MEMORY_BYTES,
        (16 * MIB, 64 * GIB),
        "for all that clients send, ask for and wait for; one of them has half at most",
    ),
    row(
        Limit::DiskReserveBytes,
        "disk_reserve_bytes",
        64 * MIB,
        (0, NONE - 1),
        "stay free on the disk; if not set, 5 % of it at most",
    ),
    row(
        Limit::PartsKeptSeconds,
        "parts_kept_seconds",
        7 * DAY,
        (0, 365 * DAY),
        "what came of a cut-off upload is kept",
    ),
    row(
        Limit::QuotaBytes,
        "quota_bytes",
        NONE,
        (0, NONE),
        "a client may have stored, if it has no own quota",
    ),
    row(
        Limit::PairingFailures,
        "pairing_failures",
        5,
        (1, 1000),
        "wrong codes from one address (IPv6: /64) until none is heard",
    ),
    row(
        Limit::PairingForgivenSeconds,
        "pairing_forgiven_seconds",
        60,
        (1, DAY),
        "until one of them is forgiven",
    ),
    row(Limit::AuditBytes, "audit_bytes", 16 * MIB, (4 * KIB, 64 * GIB), "one file of the audit log"),
    row(Limit::AuditFiles, "audit_files", 8, (1, 1000), "older ones kept: FILE.1, FILE.2 …"),
    row(
        Limit::AuditTurnSeconds,
        "audit_turn_seconds",
        60,
        (0, DAY),
        "a full file is written to at least; what finds no room is counted",
    ),
    row(
        Limit::AuditClientBytes,
        "audit_client_bytes",
        16 * MIB,
        (4 * KIB, 64 * GIB),
        "of one client in an hour; its further lines are summed a second",
    ),
];

/// Largest reserve on a small disk, in percent, if no number of bytes is set.
const DISK_RESERVE_PERCENT: u64 = 5;

/// All of them, as they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    values: [u64; TABLE.len()],
    /// The owner has set how much of the disk stays free.
    sets_reserve: bool,
}

impl Default for Limits {
    fn default() -> Self {
        let mut values = [0; TABLE.len()];
        for row in TABLE {
            values[row.limit as usize] = row.default;
        }
        Self { values, sets_reserve: false }
    }
}

impl Limits {
    pub(crate) const fn of(&self, limit: Limit) -> u64 {
        self.values[limit as usize]
    }

    pub(crate) const fn count(&self, limit: Limit) -> usize {
        self.of(limit) as usize
    }

    pub(crate) const fn seconds(&self, limit: Limit) -> Duration {
        Duration::from_secs(self.of(limit))
    }

    /// What a client may hold that has no quota of its own; none where that is not bounded.
    pub(crate) fn quota_bytes(&self) -> Option<u64> {
        Some(self.of(Limit::QuotaBytes)).filter(|bytes| *bytes != NONE)
    }

    /// What a session agrees on with its client.
    pub(crate) const fn session(&self) -> hello::Limits {
        hello::Limits {
            frame_bytes: self.of(Limit::FrameBytes) as u32,
            requests_in_flight: self.of(Limit::Requests) as u32,
            upload_credit_bytes: self.of(Limit::UploadCreditBytes),
        }
    }

    pub(crate) const fn store(&self) -> StoreLimits {
        StoreLimits {
            disk_reserve_bytes: self.of(Limit::DiskReserveBytes),
            disk_reserve_percent: if self.sets_reserve { 100 } else { DISK_RESERVE_PERCENT },
            uploads_max: self.count(Limit::Uploads),
            credit_bytes: self.of(Limit::UploadCreditBytes),
            room_bytes: self.of(Limit::UploadRoomBytes),
            memory_bytes: self.of(Limit::MemoryBytes),
            parts_kept: self.seconds(Limit::PartsKeptSeconds),
            // The system's, which is known when the service begins.
            open_files_max: usize::MAX,
        }
    }

    pub(crate) const fn audit(&self) -> AuditLimits {
        AuditLimits {
            bytes_max: self.of(Limit::AuditBytes),
            files_max: self.of(Limit::AuditFiles),
            turn_time: self.seconds(Limit::AuditTurnSeconds),
            client_bytes_per_hour: self.of(Limit::AuditClientBytes),
        }
    }

    /// `NAME=VALUE`, as on the command line.
    pub(crate) fn set_pair(&mut self, pair: &str) -> anyhow::Result<()> {
        let (name, value) = pair.split_once('=').ok_or_else(|| anyhow!("'{pair}' is not NAME=VALUE"))?;
        self.set(name.trim(), value.trim())
    }

    /// Moves one. Err for a name that is not in the table, and for what lies outside its range.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        let row = TABLE.iter().find(|row| row.name == name);
        let row = row.ok_or_else(|| anyhow!("no limit is called '{name}'; `towd --help` lists them"))?;
        let (least, most) = (shown(row.least), shown(row.most));
        let value = quantity(value).ok_or_else(|| anyhow!("{name}: '{value}' is no number"))?;
        if value < row.least || value > row.most {
            bail!("{name}: {} is not within {least} and {most}", shown(value));
        }
        self.values[row.limit as usize] = value;
        self.sets_reserve |= row.limit == Limit::DiskReserveBytes;
        Ok(())
    }
}

/// The table, for `--help`.
pub(crate) fn help() -> String {
    let mut text =
        "Limits (--limit NAME=VALUE, or in the configuration file's [limits]; sizes as 64MiB):\n".to_owned();
    for row in TABLE {
        let _ = writeln!(text, "  {:<24} {:>8}  {}", row.name, shown(row.default), row.about);
    }
    text
}

/// A number with or without KiB, MiB, GiB, TiB; `none` is the largest there is.
pub(crate) fn quantity(text: &str) -> Option<u64> {
    if text == "none" {
        return Some(NONE);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" => 1,
        "kib" => KIB,
        "mib" => MIB,
        "gib" => GIB,
        "tib" => 1024 * GIB,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The reverse, as short as it is exact.
pub(crate) fn shown(value: u64) -> String {
    if value == NONE {
        return "none".to_owned();
    }
    let units = [(1024 * GIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
    let unit = units.iter().find(|(bytes, _)| value >= 4 * KIB && value.is_multiple_of(*bytes));
    unit.map_or_else(|| value.to_string(), |(bytes, unit)| format!("{}{unit}", value / bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_its_limits_and_its_defaults_lie_in_their_ranges() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.limit as usize, at, "{}", row.name);
            let mut limits = Limits::default();
            for value in [row.default, row.least, row.most] {
                limits.set(row.name, &value.to_string()).unwrap();
                assert_eq!(limits.of(row.limit), value);
                assert_eq!(quantity(&shown(value)), Some(value), "{}", shown(value));
            }
            assert!(help().contains(&format!("  {} ", row.name)));
        }
    }

    #[test]
    fn what_is_no_limit_or_outside_its_range_is_refused_in_words() {
        for (pair, word) in [
            ("sessions", "NAME=VALUE"),
            ("session=1", "no limit is called 'session'"),
            ("sessions=", "is no number"),
            ("sessions=many", "is no number"),
            ("sessions=-1", "is no number"),
            ("sessions=0", "not within 1 and 64KiB"),
            ("requests=513", "not within 4 and 512"),
            ("frame_bytes=2MiB", "not within 512KiB and 1MiB"),
            ("idle_seconds=none", "none is not within"),
            ("disk_reserve_bytes=99999999999TiB", "is no number"),
        ] {
            let fault = Limits::default().set_pair(pair).unwrap_err().to_string();
            assert!(fault.contains(word), "{pair}: {fault}");
        }
    }

    #[test]
    fn sizes_have_units_and_a_quota_may_be_none() {
        let mut limits = Limits::default();
        assert_eq!(limits.quota_bytes(), None);
        limits.set_pair("quota_bytes = 3 GiB").unwrap();
        assert_eq!(limits.quota_bytes(), Some(3 * GIB));
        limits.set_pair("quota_bytes=none").unwrap();
        assert_eq!(limits.quota_bytes(), None);
    }
}
