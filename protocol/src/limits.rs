//! Every bound of the protocol, named with its unit. Both sides enforce them; a peer may ask for less, never for more,
//! and zero never means unlimited.

/// Longest frame (bytes after the length prefix) before Hello has been answered.
pub const FRAME_BYTES_MAX_BEFORE_HELLO: usize = 16 * 1024;
/// Longest frame (bytes after the length prefix) once the session is open.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// The lowest frame limit that a peer can ask for: room for the largest message that a server makes on its own (a page, a
/// `Totals` with all its faults). A client's long `Stat` or `Measure` must be split to fit.
pub const FRAME_BYTES_LEAST: usize = 512 * 1024;
/// Most file bytes in one `Data`, `UploadData`, `Put` or `FileWhole` frame. Small, so that an answer to a key press never
/// waits behind more than this on a slow line.
pub const DATA_BYTES_MAX: usize = 64 * 1024;
/// A file of at most this size travels whole, in one message each way.
pub const SMALL_FILE_BYTES_MAX: usize = DATA_BYTES_MAX;
/// Nesting of arrays and maps in one frame, the frame's own array counted.
pub const DEPTH_MAX: usize = 16;

/// Longest name of one file or folder.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest path: the sum of its components' bytes and one for each separator.
pub const PATH_BYTES_MAX: usize = 4096;
/// Most components in a path.
pub const PATH_COMPONENTS_MAX: usize = 128;
/// Longest target of a symbolic link.
pub const LINK_TARGET_BYTES_MAX: usize = 4095;

/// Most entries in one page of a listing or a walk.
pub const PAGE_ENTRIES_MAX: usize = 1024;
/// A page is sent once its names and targets hold this many bytes, so it stays far below [`FRAME_BYTES_MAX`].
pub const PAGE_BYTES_TARGET: usize = 128 * 1024;
/// Most pages that a peer can have granted and not yet received.
pub const PAGES_CREDIT_MAX: u32 = 256;
/// Most paths in one `Stat`, `Measure`.
pub const PATHS_MAX: usize = 256;
/// Most failures named in one `Totals`; the rest are counted.
pub const FAULTS_MAX: usize = 64;
/// Longest explanation in a fault, longest name of an agent or a root.
pub const TEXT_BYTES_MAX: usize = 512;
/// Most capabilities in a Hello, each at most [`CAPABILITY_BYTES_MAX`] long.
pub const CAPABILITIES_MAX: usize = 64;
/// Longest name of a capability.
pub const CAPABILITY_BYTES_MAX: usize = 64;

/// Longest name that a client gives itself when it is paired.
pub const CLIENT_NAME_BYTES_MAX: usize = 128;

/// Longest name of a user or a group.
pub const OWNER_NAME_BYTES_MAX: usize = 255;
/// Most extended attributes of a thing that travel.
pub const EXTENDED_MAX: usize = 256;
/// Longest name of one, its namespace counted.
pub const EXTENDED_NAME_BYTES_MAX: usize = 255;
/// Longest value of one.
pub const EXTENDED_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of names and values of all of a thing's.
pub const EXTENDED_BYTES_MAX: usize = 128 * 1024;

/// Requests of one session that may be unanswered at a time.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 512;
/// Most bytes asked for in one `Read`.
pub const READ_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The shortest block of which a file's hash is told by itself; the longest is [`RANGE_BYTES`].
pub const BLOCK_BYTES_LEAST: u64 = 16 * 1024;
/// Most hashes of blocks in one answer.
pub const BLOCKS_MAX: usize = (READ_BYTES_MAX / BLOCK_BYTES_LEAST) as usize;
/// A hole within a range that is shorter than this comes as the zeros that it reads as.
pub const HOLE_BYTES_LEAST: u64 = DATA_BYTES_MAX as u64;
/// Unit of hashing and resuming: a `Read` that starts at a multiple of its own length, where that length is a power of
/// two times this, is answered with the range's BLAKE3 subtree value.
pub const RANGE_BYTES: u64 = 1024 * 1024;
/// Most bytes of an upload that may be sent and not yet acknowledged: 800 MB/s where an answer takes 40 ms.
pub const UPLOAD_CREDIT_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Most bytes of an upload that one message can say without sending them: so progress is told, and a stop is heard, after each.
pub const SPAN_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What such a message costs of the credit, whatever it spans: half of what a full data frame does.
pub const SPAN_CREDIT_BYTES: u64 = 32 * 1024;

/// Streams of one session that a server lets there be, where its owner says nothing else.
pub const STREAMS_DEFAULT: usize = 4;
/// Most bytes of numbered frames that wait for one with a lower number; whoever brings more has to wait.
pub const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Seconds from accept to an answered Hello.
pub const HELLO_SECONDS_MAX: u64 = 10;

// The largest message of each family fits in its frame, with room for names of fields and numbers.
const _: () = assert!(PATH_BYTES_MAX + TEXT_BYTES_MAX + 1024 < FRAME_BYTES_MAX_BEFORE_HELLO);
const _: () = assert!(
    CAPABILITIES_MAX * (CAPABILITY_BYTES_MAX + 8) + 4 * TEXT_BYTES_MAX < FRAME_BYTES_MAX_BEFORE_HELLO
);
const _: () = assert!(PAGE_BYTES_TARGET + PAGE_ENTRIES_MAX * 128 + 2 * PATH_BYTES_MAX < FRAME_BYTES_LEAST);
const _: () = assert!(FAULTS_MAX * (PATH_BYTES_MAX + 2 * TEXT_BYTES_MAX) < FRAME_BYTES_LEAST);
const _: () = assert!(PATHS_MAX * 128 < FRAME_BYTES_LEAST);
const _: () = assert!(
    DATA_BYTES_MAX + EXTENDED_BYTES_MAX + EXTENDED_MAX * 16 + 2 * PATH_BYTES_MAX + 2048 < FRAME_BYTES_LEAST
);
const _: () = assert!(FRAME_BYTES_LEAST <= FRAME_BYTES_MAX && FRAME_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!(BLOCKS_MAX * 32 + 1024 < FRAME_BYTES_LEAST && BLOCK_BYTES_LEAST.is_power_of_two());
const _: () = assert!(HELD_BYTES_MAX >= FRAME_BYTES_MAX);
const _: () = assert!(READ_BYTES_MAX.is_multiple_of(RANGE_BYTES) && UPLOAD_CREDIT_BYTES_MAX >= RANGE_BYTES);
