//! The thinking wing, held to its rules: keys in, state and effects out.
