//! `da_` (PROTOCOL §8).

use crate::Registrar;

/// Registers the namespace.
pub fn register(_registrar: &mut Registrar) {}
