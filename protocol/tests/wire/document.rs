//! PROTOCOL.md says what the code does: every kind, every fault, every example.
