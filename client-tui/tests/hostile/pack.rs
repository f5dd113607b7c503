//! MessagePack written by hand: also what no type of ours can say.

/// A value on the wire.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Nil,
    No,
    Number(u64),
    Negative(i64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(&'static str, Self)>),
    /// As it is, sound or not.
    Raw(Vec<u8>),
}
pub(crate) use Value::{Bytes, List, Map, Negative, Nil, No, Number, Raw};

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn bytes(bytes: &[u8]) -> Value {
    Bytes(bytes.to_vec())
}

/// A path of these components, whatever they are.
pub(crate) fn path(names: &[&[u8]]) -> Value {
    List(names.iter().map(|name| bytes(name)).collect())
}

/// A thing below the root.
pub(crate) fn at(names: &[&[u8]]) -> Value {
    Map(vec![("base", List(Vec::new())), ("path", path(names))])
}

impl Value {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Nil => out.push(0xc0),
            No => out.push(0xc2),
            Number(number) => {
                out.push(0xcf);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Negative(number) => {
                out.push(0xd3);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Text(text) => with_length(out, 0xdb, text.len(), text.as_bytes()),
            Bytes(bytes) => with_length(out, 0xc6, bytes.len(), bytes),
            List(items) => {
                with_length(out, 0xdd, items.len(), &[]);
                for item in items {
                    item.write(out);
                }
            }
            Map(fields) => {
                with_length(out, 0xdf, fields.len(), &[]);
                for (name, value) in fields {
                    text(name).write(out);
                    value.write(out);
                }
            }
            Raw(raw) => out.extend_from_slice(raw),
        }
    }
}

fn with_length(out: &mut Vec<u8>, marker: u8, length: usize, content: &[u8]) {
    out.push(marker);
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.extend_from_slice(content);
}

/// The frame of a message.
pub(crate) fn frame(kind: u16, id: u32, body: &Value) -> Vec<u8> {
    let mut content = vec![0x93, 0xcd];
    content.extend_from_slice(&kind.to_be_bytes());
    content.push(0xce);
    content.extend_from_slice(&id.to_be_bytes());
    body.write(&mut content);
    framed(&content)
}

/// Any content, with its length before it.
pub(crate) fn framed(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[..], content].concat()
}
