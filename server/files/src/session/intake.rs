//! Reads a stream's bytes into its decoder: much at a time from a peer that says much, as long as there is memory for that, and little from
//! all others. A long frame is taken in once there is memory for all of it.

use std::io;
use std::time::Duration;

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;
use towpath_protocol::frame::{Decoder, ROOMS_BYTES_MAX};

use crate::memory::{Charge, Memory, Use};

/// Bytes read at a time from a peer that says little, and the longest frame that takes no more than every session has.
const READ_BYTES_MIN: usize = 16 * 1024;
/// Bytes read at a time from a peer that fills what it is given.
const READ_BYTES_MAX: usize = 256 * 1024;
/// With less room than this, new room is taken.
const ROOM_BYTES_LEAST: usize = 64 * 1024;
/// Charge of the buffers kept for a busy peer, or held by its data.
const MUCH_BYTES: usize = ROOMS_BYTES_MAX;
/// A peer that says nothing for so long has no use for them.
const SILENCE: Duration = Duration::from_secs(1);

/// The reading side of one stream.
#[derive(Debug)]
pub(super) struct Intake {
    memory: Memory,
    read_bytes: usize,
    /// For the frame that has begun.
    frame: Charge,
    /// While much may be read at a time, and as long as what was read so holds its room.
    much: Option<Charge>,
}

impl Intake {
    pub(super) fn new(memory: Memory) -> Self {
        let frame = memory.nothing();
        Self { memory, read_bytes: READ_BYTES_MIN, frame, much: None }
    }

    /// Reads once; a peer that fills the space is given more the next time. Waits for memory where a frame has begun that takes much. Nothing
    /// is lost where this is dropped.
    pub(super) async fn read(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        decoder: &mut Decoder,
    ) -> io::Result<usize> {
        let begun = decoder.begun_bytes();
        let begun = if begun > READ_BYTES_MIN { begun } else { 0 };
        if begun > self.frame.bytes() {
            let more = self.memory.take(begun - self.frame.bytes(), Use::Passing).await;
            more.forget();
            self.frame.adopt(begun);
        } else {
            self.frame.set(begun);
        }
        let read = if self.much.is_some() {
            match timeout(SILENCE, self.read_some(reader, decoder)).await {
                Ok(read) => read?,
                Err(_elapsed) => {
                    decoder.release();
                    self.read_bytes = READ_BYTES_MIN;
                    self.let_go(decoder);
                    self.read_some(reader, decoder).await?
                }
            }
        } else {
            self.read_some(reader, decoder).await?
        };
        self.learn(read);
        if self.read_bytes == READ_BYTES_MIN {
            decoder.rest();
            self.let_go(decoder);
        }
        Ok(read)
    }

    async fn read_some(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        decoder: &mut Decoder,
    ) -> io::Result<usize> {
        let room = if self.read_bytes > READ_BYTES_MIN { READ_BYTES_MAX } else { READ_BYTES_MIN };
        let space = decoder.space(self.read_bytes.min(ROOM_BYTES_LEAST), room);
        reader.read_buf(&mut space.limit(self.read_bytes)).await
    }

    fn learn(&mut self, read: usize) {
        if read < self.read_bytes {
            self.read_bytes = READ_BYTES_MIN.max(self.read_bytes / 2);
            return;
        }
        if self.much.is_none() {
            self.much = self.memory.try_take(MUCH_BYTES, Use::Passing);
        }
        self.read_bytes = if self.much.is_some() { READ_BYTES_MAX } else { READ_BYTES_MIN };
    }

    fn let_go(&mut self, decoder: &Decoder) {
        if !decoder.is_held() {
            self.much = None;
        }
    }
}
