//! State roots after each transaction of a block, which receipts hold before Byzantium.

use crate::{Engine, EngineError, engine::Place, post_state::hash_transitions};
use weft_evm::{RootAfter, StateFailure};
use weft_primitives::HashedPostState;
use weft_storage::View;
use weft_trie::RootSequence;

/// What execution on the database's head asks after each transaction before Byzantium.
pub fn root_after_head<'a>(view: &'a View<'a>) -> RootAfter<'a> {
    root_after(|| Ok(RootSequence::new(view)))
}

/// Costs nothing until it is asked; then each root costs the paths that its transaction changed.
fn root_after<'a>(begin: impl Fn() -> Result<RootSequence<'a>, EngineError> + 'a) -> RootAfter<'a> {
    let mut sequence = None;
    Box::new(move |transitions| {
        let roots = match &mut sequence {
            Some(roots) => roots,
            None => sequence.insert(begin().map_err(StateFailure::new)?),
        };
        roots.then(&hash_transitions(transitions)).map_err(StateFailure::new)
    })
}

impl Engine {
    /// The same on the state of `place`.
    pub(crate) fn root_after<'a>(&'a self, view: &'a View<'a>, place: &'a Place) -> RootAfter<'a> {
        root_after(|| self.root_sequence(view, place))
    }

    fn root_sequence<'a>(&self, view: &'a View<'a>, place: &Place) -> Result<RootSequence<'a>, EngineError> {
        let mut roots = RootSequence::new(view);
        let nothing = HashedPostState::default();
        let parent = self.trie_overlay(view, place, &nothing)?;
        if !parent.is_empty() {
            roots.then(&parent)?;
        }
        Ok(roots)
    }
}
