//! An inspector that ends execution when its time is over.

use alloy_primitives::{Address, Log, U256};
use revm::{
    Inspector,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        interpreter::EthInterpreter,
    },
};
use std::time::{Duration, Instant};

/// Steps between two looks at the clock: some microseconds of execution.
const STEPS: u32 = 1024;

/// Wraps another inspector.
#[derive(Clone, Debug)]
pub struct Deadline<I> {
    /// The inspector inside.
    pub inner: I,
    at: Instant,
    steps: u32,
    expired: bool,
}

impl<I> Deadline<I> {
    /// Ends execution `time` from now.
    pub fn new(inner: I, time: Duration) -> Self {
        Self::until(inner, Instant::now() + time)
    }

    /// Ends execution at a moment.
    pub fn until(inner: I, at: Instant) -> Self {
        Self { inner, at, steps: 0, expired: false }
    }

    /// Whether execution was ended.
    pub fn expired(&self) -> bool {
        self.expired
    }
}

impl<CTX, I: Inspector<CTX>> Inspector<CTX> for Deadline<I> {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut CTX) {
        self.inner.initialize_interp(interpreter, context);
    }

    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut CTX) {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(STEPS) && Instant::now() >= self.at {
            self.expired = true;
        }
        if self.expired {
            interpreter.halt(InstructionResult::OutOfGas);
            return;
        }
        self.inner.step(interpreter, context);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut CTX) {
        self.inner.step_end(interpreter, context);
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.inner.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.inner.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.inner.create(context, inputs)
    }

    fn create_end(&mut self, context: &mut CTX, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.inner.create_end(context, inputs, outcome);
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        self.inner.log(context, log);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.inner.selfdestruct(contract, target, value);
    }
}
