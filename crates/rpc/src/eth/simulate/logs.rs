//! An inspector that gathers what a call has logged, and its transfers of ether as if they had been logs (ERC-7528).
//!
//! It stands beside the logs of execution itself: transfers are in the answer, and in no bloom and no receipt. What a
//! failed frame logged is dropped with it, and its places in the block's count of logs stay empty, as in the
//! conformance files of execution-apis. What does not fit into the bytes that are left is not gathered.

use alloy_primitives::{Address, B256, Log, LogData, U256};
use revm::{
    Inspector,
    context::{ContextTr, JournalTr},
    interpreter::{CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome},
};
use revm_inspectors::transfer::{TRANSFER_EVENT_TOPIC, TRANSFER_LOG_EMITTER};

/// What a log takes in an answer besides its data: half of its JSON.
const LOG_BYTES: usize = 256;

/// Logs of a block's transactions, one transaction after the other.
#[derive(Clone, Debug, Default)]
pub struct CallLogs {
    /// Whether transfers of ether are wanted.
    transfers: bool,
    /// For all that is logged, dropped logs included; `None` when it was too much.
    bytes_left: Option<usize>,
    /// Logs so far in the block.
    count: u64,
    logs: Vec<(u64, Log)>,
    /// Where the logs of each open frame begin.
    frames: Vec<usize>,
}

impl CallLogs {
    /// With or without transfers of ether, in at most so many bytes.
    pub fn new(transfers: bool, bytes_max: usize) -> Self {
        Self { transfers, bytes_left: Some(bytes_max), ..Self::default() }
    }

    /// Bytes that were not used; `None` when they were not enough.
    pub fn bytes_left(&self) -> Option<usize> {
        self.bytes_left
    }

    /// What the last transaction logged, with the place of each log in the block. The next may log `bytes_max`.
    pub fn take(&mut self, bytes_max: usize) -> Vec<(u64, Log)> {
        self.bytes_left = Some(bytes_max);
        self.frames.clear();
        std::mem::take(&mut self.logs)
    }

    fn enter(&mut self) {
        self.frames.push(self.logs.len());
    }

    fn leave(&mut self, success: bool) {
        let Some(first) = self.frames.pop() else { return };
        if !success {
            self.logs.truncate(first);
        }
    }

    fn push(&mut self, log: Log) {
        self.bytes_left = self.bytes_left.and_then(|left| left.checked_sub(LOG_BYTES + log.data.data.len()));
        if self.bytes_left.is_some() {
            self.logs.push((self.count, log));
        }
        self.count += 1;
    }

    fn transfer(&mut self, from: Address, to: Address, value: U256) {
        if !self.transfers || value.is_zero() {
            return;
        }
        let topics = vec![TRANSFER_EVENT_TOPIC, from.into_word(), to.into_word()];
        let data = LogData::new_unchecked(topics, B256::from(value).into());
        self.push(Log { address: TRANSFER_LOG_EMITTER, data });
    }
}

impl<CTX: ContextTr> Inspector<CTX> for CallLogs {
    fn log(&mut self, _: &mut CTX, log: Log) {
        self.push(log);
    }

    fn call(&mut self, _: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.enter();
        // CALLCODE moves its value from the contract to itself.
        if inputs.scheme != CallScheme::CallCode
            && let Some(value) = inputs.transfer_value()
        {
            self.transfer(inputs.transfer_from(), inputs.transfer_to(), value);
        }
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.leave(outcome.result.is_ok());
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.enter();
        if self.transfers && !inputs.value().is_zero() {
            // The caller is loaded: it is running, or it sent the transaction.
            let caller = context.journal_mut().load_account(inputs.caller());
            if let Ok(nonce) = caller.map(|account| account.data.info.nonce) {
                self.transfer(inputs.caller(), inputs.created_address(nonce), inputs.value());
            }
        }
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.leave(outcome.result.is_ok());
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.transfer(contract, target, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_frame_takes_its_logs_with_it() {
        let mut logs = CallLogs::new(true, 10_000);
        let send = |logs: &mut CallLogs, value: u64| {
            logs.transfer(Address::repeat_byte(1), Address::repeat_byte(2), U256::from(value));
        };
        logs.enter();
        send(&mut logs, 1);
        logs.enter();
        send(&mut logs, 2);
        logs.enter();
        send(&mut logs, 3);
        logs.leave(true);
        logs.leave(false);
        send(&mut logs, 4);
        logs.leave(true);
        let told = |(index, log): &(u64, Log)| (*index, U256::from_be_slice(&log.data.data));
        let left: Vec<_> = logs.take(10_000).iter().map(told).collect();
        assert_eq!(left, [(0, U256::from(1)), (3, U256::from(4))]);
        assert!(logs.take(10_000).is_empty());
    }

    #[test]
    fn what_does_not_fit_is_not_gathered() {
        let mut logs = CallLogs::new(true, 3 * (LOG_BYTES + 32) - 1);
        for _ in 0..3 {
            assert!(logs.bytes_left().is_some());
            logs.transfer(Address::ZERO, Address::ZERO, U256::ONE);
        }
        assert_eq!(logs.bytes_left(), None);
        assert_eq!(logs.take(100).len(), 2);
        assert_eq!(logs.bytes_left(), Some(100));
    }

    #[test]
    fn transfers_are_told_when_they_are_asked_for() {
        let mut logs = CallLogs::new(false, 10_000);
        logs.transfer(Address::ZERO, Address::ZERO, U256::ONE);
        assert!(logs.take(10_000).is_empty());
        let mut logs = CallLogs::new(true, 10_000);
        logs.transfer(Address::ZERO, Address::ZERO, U256::ZERO);
        assert!(logs.take(10_000).is_empty(), "nothing was moved");
    }
}
