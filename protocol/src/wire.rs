//! Small serde pieces that several messages share: bounded sequences, numbers as enums, fixed byte strings.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A sequence of at most `MAX` items. Refused by the announced count where there is one, and while reading in any case,
/// so that a megabyte of one-byte items never becomes a hundred megabytes of structs.
pub(crate) fn bounded<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            if let Some(count) = seq.size_hint().filter(|count| *count > MAX) {
                return Err(A::Error::invalid_length(count, &self));
            }
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                if items.len() == MAX {
                    return Err(A::Error::invalid_length(MAX + 1, &self));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(Bounded::<T, MAX>(PhantomData))
}

/// A text of at most `MAX` bytes.
pub(crate) fn bounded_text<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<String, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    if text.len() > MAX {
        return Err(D::Error::custom(format_args!("a text is longer than {MAX} bytes")));
    }
    Ok(text.to_owned())
}

/// Whether an optional field need not be sent.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An enum without fields that travels as a number. An unknown number is refused, or, with `else`, read as that value.
macro_rules! numbered {
    ($(#[$meta:meta])* pub enum $name:ident: $repr:ident $(else $fallback:ident)? {
        $($(#[$item_meta:meta])* $item:ident = $number:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr($repr)]
        pub enum $name { $($(#[$item_meta])* $item = $number,)+ }

        impl $name {
            /// Every value, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$item,)+];

            /// The value with this number on the wire.
            pub const fn from_number(number: $repr) -> Option<Self> {
                match number {
                    $($number => Some(Self::$item),)+
                    _ => None,
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                (*self as $repr).serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let known = Self::from_number(<$repr as serde::Deserialize>::deserialize(deserializer)?);
                $(let known = known.or(Some(Self::$fallback));)?
                known.ok_or_else(|| serde::de::Error::custom(concat!("not a number of ", stringify!($name))))
            }
        }
    };
}
pub(crate) use numbered;

/// A fixed byte string with a meaning of its own; travels as MessagePack `bin`.
macro_rules! fixed_bytes {
    ($(#[$meta:meta])* $vis:vis struct $name:ident([u8; $len:literal]);) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name(pub [u8; $len]);

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "("))?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                write!(f, ")")
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let bytes = <&serde_bytes::Bytes>::deserialize(deserializer)?;
                let fixed = <[u8; $len]>::try_from(&**bytes)
                    .map_err(|_| serde::de::Error::invalid_length(bytes.len(), &concat!(stringify!($len), " bytes")))?;
                Ok(Self(fixed))
            }
        }
    };
}
pub(crate) use fixed_bytes;
