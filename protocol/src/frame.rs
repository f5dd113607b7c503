//! Frames: a `u32` big-endian length, then exactly one MessagePack value, the array `[kind, id, body]`.
//!
//! Decoding is sans-io: bytes go in through [`Decoder::space`] or [`Decoder::push`], messages come out of `next_*`. An
//! announced length beyond the limit is refused from the header, before anything is allocated for it. What the numbers in a
//! message mean together (offsets that follow one another, ranges that do not overflow) is its receiver's matter.

use std::collections::VecDeque;
use std::io::ErrorKind;

use bytes::{Buf, Bytes, BytesMut};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};

use crate::answer::Data;
use crate::input::UploadData;
use crate::limits::{DATA_BYTES_MAX, DEPTH_MAX, FRAME_BYTES_MAX, FRAME_BYTES_MAX_BEFORE_HELLO};
use crate::message::{
    Answer, DATA_KIND, Family, Input, NUMBERED_BY_CLIENT, NUMBERED_BY_SERVER, Numbered, PACKED_BY_CLIENT,
    PACKED_BY_SERVER, Packed, Request, RequestId, Session, ToServer, UPLOAD_DATA_KIND,
};

/// Bytes of the length prefix.
pub const HEADER_BYTES: usize = 4;

/// Why a stream of bytes is not a stream of frames. Each of these ends the session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {announced} bytes was announced, {allowed} are allowed")]
    TooLong { announced: usize, allowed: usize },
    #[error("a frame does not hold [kind, id, body]")]
    NotAMessage,
    #[error("bytes are left over after a message")]
    LeftOver,
    #[error("a packed frame does not hold one frame")]
    BadlyPacked,
    #[error("frames of a session with several streams do not have numbers that follow one another")]
    OutOfSequence,
}

/// A frame whose envelope is sound but whose body is not: the request is refused, the session goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undecodable {
    /// A kind that this side does not know. Its body is not looked at.
    UnknownKind(u16),
    /// A known kind with a body that breaks its rules.
    BadBody(u16),
}

/// A frame as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming<M> {
    pub id: RequestId,
    pub message: Result<M, Undecodable>,
}

/// Memory that was read into and is held by decoded data; beyond this, data is copied out of what is read.
pub const ROOMS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A whole frame without its length: a MessagePack value that nobody has looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    #[allow(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As what a client says.
    pub fn to_server(&self) -> Result<Incoming<ToServer>, FrameError> {
        decode(&self.0, to_server_body)
    }

    /// As what a server says.
    pub fn answer(&self) -> Result<Incoming<Answer>, FrameError> {
        decode(&self.0, answer_body)
    }

    /// The number that it gives to the frame that follows it on its stream; none for any other frame.
    pub(crate) fn number(&self) -> Result<Option<u64>, FrameError> {
        let incoming = decode(&self.0, |kind, body| match kind {
            NUMBERED_BY_CLIENT => {
                Ok(decode_family::<Session>(kind, body)?.map_or(Ok(None), |message| match message {
                    Ok(Session::Numbered(Numbered { number })) => Ok(Some(number)),
                    _ => Err(Undecodable::BadBody(kind)),
                }))
            }
            NUMBERED_BY_SERVER => {
                Ok(decode_family::<Answer>(kind, body)?.map_or(Ok(None), |message| match message {
                    Ok(Answer::Numbered(Numbered { number })) => Ok(Some(number)),
                    _ => Err(Undecodable::BadBody(kind)),
                }))
            }
            _ => Ok(Ok(None)),
        })?;
        incoming.message.map_err(|_undecodable| FrameError::OutOfSequence)
    }

    /// What is packed in it; none for any other frame.
    pub(crate) fn packed(&self) -> Result<Option<Vec<u8>>, FrameError> {
        let incoming = decode(&self.0, |kind, body| match kind {
            PACKED_BY_CLIENT => {
                Ok(decode_family::<Session>(kind, body)?.map_or(Ok(None), |message| match message {
                    Ok(Session::Packed(Packed { frame })) => Ok(Some(frame)),
                    _ => Err(Undecodable::BadBody(kind)),
                }))
            }
            PACKED_BY_SERVER => {
                Ok(decode_family::<Answer>(kind, body)?.map_or(Ok(None), |message| match message {
                    Ok(Answer::Packed(Packed { frame })) => Ok(Some(frame)),
                    _ => Err(Undecodable::BadBody(kind)),
                }))
            }
            _ => Ok(Ok(None)),
        })?;
        incoming.message.map_err(|_undecodable| FrameError::BadlyPacked)
    }

    /// The same in memory of its own, where it would keep much more than itself from being freed.
    pub(crate) fn detached(self) -> Self {
        if self.0.len() < DETACHED_BYTES_MAX { Self(Bytes::copy_from_slice(&self.0)) } else { self }
    }
}

impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

/// Longer frames stay in the memory that they were read into.
const DETACHED_BYTES_MAX: usize = 32 * 1024;

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    frame_bytes_max: usize,
    /// Of `buffer`, as it was taken.
    room_bytes: usize,
    /// Used buffers, the one filled first in front.
    rooms: VecDeque<Room>,
    /// Decoded data holds as many rooms as it may: data that comes now is copied, and holds no more memory than its own.
    is_crowded: bool,
}

/// A handle on memory that was read into.
#[derive(Debug)]
struct Room {
    /// Empty.
    buffer: BytesMut,
    bytes: usize,
}

impl Room {
    /// Returns whether no decoded data holds it.
    fn is_free(&mut self) -> bool {
        self.buffer.try_reclaim(self.bytes)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// With the limit that holds before Hello is answered.
    pub fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            frame_bytes_max: FRAME_BYTES_MAX_BEFORE_HELLO,
            room_bytes: 0,
            rooms: VecDeque::new(),
            is_crowded: false,
        }
    }

    /// Sets the limit for the frames to come, those included that are in the buffer already, once Hello is answered. Never
    /// more than the protocol's own, whatever a peer has offered.
    pub fn allow_frames_up_to(&mut self, bytes: usize) {
        self.frame_bytes_max = bytes.min(FRAME_BYTES_MAX);
    }

    /// Room for the next bytes from the stream, to be read into directly: `least` at least, and `room` where it has to be taken
    /// anew. The caller bounds what it reads at a time; what is held here and was not yet decoded never exceeds one frame's limit plus
    /// one such read. Decoded data stays where it was read. The room that it took is read into again when nobody holds it any
    /// more, as long as as much is asked for: to the system, new room for each read costs as much as the reading.
    pub fn space(&mut self, least: usize, room: usize) -> &mut BytesMut {
        let least = least.max(self.missing());
        if self.is_crowded {
            self.is_crowded = !self.rooms.iter_mut().any(Room::is_free);
        }
        if self.buffer.capacity() - self.buffer.len() < least && !self.buffer.try_reclaim(least) {
            let was_crowded = self.is_crowded;
            let Room { buffer: mut next, bytes } = self.room(room.max(least));
            next.extend_from_slice(&self.buffer);
            let mut full = Room { buffer: std::mem::replace(&mut self.buffer, next), bytes: self.room_bytes };
            full.buffer.clear();
            self.room_bytes = bytes;
            if !was_crowded {
                self.rooms.push_back(full);
            }
        }
        &mut self.buffer
    }

    /// The room that was full first, if it is free again and large enough, else a new one.
    fn room(&mut self, bytes: usize) -> Room {
        let wanted = self.buffer.len() + bytes;
        while let Some(free) =
            self.rooms.iter_mut().position(Room::is_free).and_then(|at| self.rooms.remove(at))
        {
            if free.bytes >= wanted {
                self.is_crowded = false;
                return free;
            }
        }
        let held: usize = self.rooms.iter().map(|room| room.bytes).sum();
        self.is_crowded = held + self.room_bytes >= ROOMS_BYTES_MAX;
        Room { buffer: BytesMut::with_capacity(wanted), bytes: wanted }
    }

    /// Gives back the room that is kept for more to come, but for what decoded data holds.
    pub fn rest(&mut self) {
        self.rooms.retain_mut(|room| !room.is_free());
    }

    /// Returns whether decoded data holds used buffers.
    pub fn is_held(&self) -> bool {
        !self.rooms.is_empty()
    }

    /// Gives back all that is not needed while nothing comes.
    pub fn release(&mut self) {
        self.rest();
        if self.buffer.is_empty() {
            (self.buffer, self.room_bytes) = (BytesMut::new(), 0);
        }
    }

    /// Bytes of the frame that has begun; none where its length has not come, or is not allowed.
    pub fn begun_bytes(&self) -> usize {
        let announced =
            self.buffer.first_chunk::<HEADER_BYTES>().map_or(0, |header| u32::from_be_bytes(*header));
        if announced as usize <= self.frame_bytes_max { announced as usize } else { 0 }
    }

    /// Takes in bytes from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.reserve(self.missing().max(bytes.len()));
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether the stream could end here without cutting a frame.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next message from a client; none while its bytes are incomplete.
    pub fn next_to_server(&mut self) -> Result<Option<Incoming<ToServer>>, FrameError> {
        self.next_frame()?.map(|frame| frame.to_server()).transpose()
    }

    /// The next message from a server; none while its bytes are incomplete.
    pub fn next_answer(&mut self) -> Result<Option<Incoming<Answer>>, FrameError> {
        self.next_frame()?.map(|frame| frame.answer()).transpose()
    }

    /// Bytes that the frame lacks which has begun; none where it is too long.
    fn missing(&self) -> usize {
        let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() else { return 0 };
        let announced = u32::from_be_bytes(*header) as usize;
        let is_allowed = announced <= self.frame_bytes_max;
        if is_allowed { (HEADER_BYTES + announced).saturating_sub(self.buffer.len()) } else { 0 }
    }

    /// The next frame, whatever it says; none while its bytes are incomplete.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let announced = u32::from_be_bytes(*header) as usize;
        if announced > self.frame_bytes_max {
            return Err(FrameError::TooLong { announced, allowed: self.frame_bytes_max });
        }
        if announced == 0 {
            return Err(FrameError::NotAMessage);
        }
        if self.buffer.len() < HEADER_BYTES + announced {
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        if self.is_crowded {
            let frame = Bytes::copy_from_slice(&self.buffer[..announced]);
            self.buffer.advance(announced);
            return Ok(Some(Frame(frame)));
        }
        Ok(Some(Frame(self.buffer.split_to(announced).freeze())))
    }
}

/// A message as bytes, header included: what comes before its bulk data, and the data itself, which is not copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    pub head: Vec<u8>,
    /// Follows `head` on the wire; empty for all but `Data` and `UploadData`.
    pub data: Bytes,
}

impl Encoded {
    pub fn len(&self) -> usize {
        self.head.len() + self.data.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same with its number before it, as a client or a server says that: both are one piece, and nothing comes between them.
    #[must_use]
    pub fn numbered(self, kind: u16, number: u64) -> Self {
        let mut head = vec![0; HEADER_BYTES];
        let announced = (kind, RequestId::NONE, Numbered { number });
        // Writing numbers and a name to a Vec cannot fail.
        let _ = announced.serialize(&mut rmp_serde::Serializer::new(&mut head).with_struct_map());
        set_length(&mut head, 0);
        head.extend_from_slice(&self.head);
        Self { head, data: self.data }
    }

    /// What was packed, in a frame of this kind; `packed` is not copied.
    pub(crate) fn packed(kind: u16, packed: Bytes) -> Self {
        let mut head = rmp::encode::buffer::ByteBuf::with_capacity(HEADER_BYTES + 32);
        head.as_mut_vec().extend_from_slice(&[0; HEADER_BYTES]);
        // Writing to a ByteBuf cannot fail: its error type has no value.
        let _ = rmp::encode::write_array_len(&mut head, 3);
        let _ = rmp::encode::write_uint(&mut head, u64::from(kind));
        let _ = rmp::encode::write_uint(&mut head, u64::from(RequestId::NONE.0));
        let _ = rmp::encode::write_map_len(&mut head, 1);
        let _ = rmp::encode::write_str(&mut head, "frame");
        let _ = rmp::encode::write_bin_len(&mut head, packed.len() as u32);
        let mut head = head.into_vec();
        set_length(&mut head, packed.len());
        Self { head, data: packed }
    }
}

/// Encodes a client's message. Fails only where a body's own serialisation fails, which none of this crate's does.
pub fn encode_to_server(id: RequestId, message: &ToServer) -> Result<Encoded, rmp_serde::encode::Error> {
    match message {
        ToServer::Session(message) => encode(id, message),
        ToServer::Request(message) => encode(id, message),
        ToServer::Input(Input::UploadData(UploadData { offset, data })) => {
            Ok(encode_data(UPLOAD_DATA_KIND, id, *offset, data))
        }
        ToServer::Input(message) => encode(id, message),
    }
}

/// Encodes a server's message. Fails only where a body's own serialisation fails, which none of this crate's does.
pub fn encode_answer(id: RequestId, message: &Answer) -> Result<Encoded, rmp_serde::encode::Error> {
    match message {
        Answer::Data(Data { offset, data }) => Ok(encode_data(DATA_KIND, id, *offset, data)),
        message => encode(id, message),
    }
}

struct Envelope<'a, M>(RequestId, &'a M);

impl<M: Family> Serialize for Envelope<'_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.1.kind(), self.0, Body(self.1)).serialize(serializer)
    }
}

struct Body<'a, M>(&'a M);

impl<M: Family> Serialize for Body<'_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_body(serializer)
    }
}

fn encode<M: Family>(id: RequestId, message: &M) -> Result<Encoded, rmp_serde::encode::Error> {
    let mut head = vec![0; HEADER_BYTES];
    Envelope(id, message).serialize(&mut rmp_serde::Serializer::new(&mut head).with_struct_map())?;
    set_length(&mut head, 0);
    Ok(Encoded { head, data: Bytes::new() })
}

/// `[kind, id, [offset, data]]` without copying `data`, which is the last thing in the frame.
fn encode_data(kind: u16, id: RequestId, offset: u64, data: &Bytes) -> Encoded {
    let mut head = rmp::encode::buffer::ByteBuf::with_capacity(HEADER_BYTES + 32);
    head.as_mut_vec().extend_from_slice(&[0; HEADER_BYTES]);
    // Writing to a ByteBuf cannot fail: its error type has no value.
    let _ = rmp::encode::write_array_len(&mut head, 3);
    let _ = rmp::encode::write_uint(&mut head, u64::from(kind));
    let _ = rmp::encode::write_uint(&mut head, u64::from(id.0));
    let _ = rmp::encode::write_array_len(&mut head, 2);
    let _ = rmp::encode::write_uint(&mut head, offset);
    let _ = rmp::encode::write_bin_len(&mut head, data.len() as u32);
    let mut head = head.into_vec();
    set_length(&mut head, data.len());
    Encoded { head, data: data.clone() }
}

fn set_length(head: &mut [u8], data_len: usize) {
    let length = (head.len() - HEADER_BYTES + data_len) as u32;
    head[..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
}

fn decode<M>(
    frame: &Bytes,
    decode_body: impl FnOnce(u16, &Bytes) -> Result<Result<M, Undecodable>, FrameError>,
) -> Result<Incoming<M>, FrameError> {
    let mut rest = &frame[..];
    if rmp::decode::read_array_len(&mut rest).ok() != Some(3) {
        return Err(FrameError::NotAMessage);
    }
    let kind = rmp::decode::read_int::<u16, _>(&mut rest).map_err(|_| FrameError::NotAMessage)?;
    let id = rmp::decode::read_int::<u32, _>(&mut rest).map_err(|_| FrameError::NotAMessage)?;
    Ok(Incoming { id: RequestId(id), message: decode_body(kind, &frame.slice_ref(rest))? })
}

fn to_server_body(kind: u16, body: &Bytes) -> Result<Result<ToServer, Undecodable>, FrameError> {
    if kind == UPLOAD_DATA_KIND {
        return Ok(decode_data(kind, body)
            .map(|(offset, data)| ToServer::Input(Input::UploadData(UploadData { offset, data }))));
    }
    if let Some(message) = decode_family::<Request>(kind, body)? {
        return Ok(message.map(ToServer::Request));
    }
    if let Some(message) = decode_family::<Input>(kind, body)? {
        return Ok(message.map(ToServer::Input));
    }
    let message = decode_family::<Session>(kind, body)?;
    Ok(message.map_or(Err(Undecodable::UnknownKind(kind)), |message| message.map(ToServer::Session)))
}

fn answer_body(kind: u16, body: &Bytes) -> Result<Result<Answer, Undecodable>, FrameError> {
    if kind == DATA_KIND {
        return Ok(decode_data(kind, body).map(|(offset, data)| Answer::Data(Data { offset, data })));
    }
    Ok(decode_family::<Answer>(kind, body)?.unwrap_or(Err(Undecodable::UnknownKind(kind))))
}

/// None where the kind belongs to another family.
fn decode_family<M: Family>(kind: u16, body: &Bytes) -> Result<Option<Result<M, Undecodable>>, FrameError> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(&body[..]);
    deserializer.set_max_depth(DEPTH_MAX);
    let Some(message) = M::deserialize_body(kind, &mut deserializer) else { return Ok(None) };
    let Ok(message) = message else { return Ok(Some(Err(Undecodable::BadBody(kind)))) };
    // The deserializer does not tell its position; only a read that finds the end shows that nothing is left over.
    match IgnoredAny::deserialize(&mut deserializer) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(error))
            if error.kind() == ErrorKind::UnexpectedEof =>
        {
            Ok(Some(Ok(message)))
        }
        _ => Err(FrameError::LeftOver),
    }
}

/// `[offset, data]`, the data a view into the frame's own buffer.
fn decode_data(kind: u16, body: &Bytes) -> Result<(u64, Bytes), Undecodable> {
    let bad = Undecodable::BadBody(kind);
    let mut rest = &body[..];
    if rmp::decode::read_array_len(&mut rest).ok() != Some(2) {
        return Err(bad);
    }
    let Ok(offset) = rmp::decode::read_int::<u64, _>(&mut rest) else { return Err(bad) };
    match rmp::decode::read_bin_len(&mut rest) {
        Ok(len) if len as usize == rest.len() && (1..=DATA_BYTES_MAX).contains(&rest.len()) => {
            Ok((offset, body.slice_ref(rest)))
        }
        _ => Err(bad),
    }
}
