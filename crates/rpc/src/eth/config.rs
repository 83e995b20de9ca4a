//! `eth_config` (EIP-7910): the rules in force now, next and last.

use crate::Registrar;

/// Registers the method.
pub fn register(_registrar: &mut Registrar) {}
