//! The EVM that blocks and calls run on: alloy-evm's, with one instruction taught about EIP-7610.

use crate::{
    StateSource,
    source::{Note, Watched},
};
use alloy_evm::{
    Evm as _, EvmEnv,
    eth::{EthEvm, EthEvmBuilder, EthEvmContext},
    precompiles::PrecompilesMap,
};
use alloy_primitives::{Address, KECCAK256_EMPTY, U256, map::AddressSet};
use revm::{
    Inspector,
    bytecode::opcode::EXTCODEHASH,
    context::{ContextTr as _, JournalTr as _},
    database::State,
    inspector::NoOpInspector,
    interpreter::{
        Host, Instruction, InstructionContext, InstructionExecResult, instructions::host,
        interpreter::EthInterpreter,
    },
};

/// revm with its caches over a [`StateSource`].
pub type Machine<DB, I = NoOpInspector> = EthEvm<State<Watched<DB>>, I, PrecompilesMap>;

/// A machine whose first transaction can be told what is warm from the start (EIP-2929).
pub trait WarmPrecompiles {
    /// Keeps these addresses warm, whatever becomes of the precompiles there.
    fn warm_precompiles(&mut self, addresses: &AddressSet);
}

impl<DB: StateSource, I> WarmPrecompiles for Machine<DB, I> {
    fn warm_precompiles(&mut self, addresses: &AddressSet) {
        self.ctx_mut().journal_mut().warm_precompiles(addresses);
    }
}

/// A machine over `state`, and the note of failures to read it. `inspect` = whether the inspector is asked at all.
pub(crate) fn machine<DB, I>(state: DB, env: EvmEnv, inspector: I, inspect: bool) -> (Machine<DB, I>, Note)
where
    DB: StateSource,
    I: Inspector<EthEvmContext<State<Watched<DB>>>>,
{
    let (state, note) = cached(state);
    (machine_on(state, env, inspector, inspect), note)
}

/// revm's caches over `state`, and the note of failures to read it.
pub(crate) fn cached<DB: StateSource>(state: DB) -> (State<Watched<DB>>, Note) {
    let (watched, note) = Watched::new(state);
    (State::builder().with_database(watched).with_bundle_update().build(), note)
}

/// A machine over a state that may have run blocks before.
pub(crate) fn machine_on<DB, I>(
    state: State<Watched<DB>>,
    env: EvmEnv,
    inspector: I,
    inspect: bool,
) -> Machine<DB, I>
where
    DB: StateSource,
    I: Inspector<EthEvmContext<State<Watched<DB>>>>,
{
    let mut inner = EthEvmBuilder::new(state, env).inspector(inspector).build().into_inner();
    let gas = inner.instruction.gas_table()[usize::from(EXTCODEHASH)];
    inner.instruction.insert_instruction(EXTCODEHASH, Instruction::new(extcodehash), gas);
    let mut machine = EthEvm::new(inner, inspect);
    machine.set_inspector_enabled(inspect);
    machine
}

/// EXTCODEHASH that hides the zero code hash by which storage without code is marked (see [`StateSource`]):
/// such an account, when it is not empty, has the code hash of nothing.
fn extcodehash<H: Host + ?Sized>(
    context: InstructionContext<'_, H, EthInterpreter>,
) -> InstructionExecResult {
    let InstructionContext { interpreter, host } = context;
    let asked = interpreter.stack.data().last().copied();
    host::extcodehash(InstructionContext { interpreter: &mut *interpreter, host: &mut *host })?;
    if let (Some(asked), Some(answer)) = (asked, interpreter.stack.data_mut().last_mut())
        && answer.is_zero()
    {
        // Loaded a moment ago, so this costs nothing and cannot fail.
        let address = Address::from_word(asked.into());
        if host
            .load_account_info_skip_cold_load(address, false, false)
            .is_ok_and(|account| !account.is_empty())
        {
            *answer = U256::from_be_bytes(KECCAK256_EMPTY.0);
        }
    }
    Ok(())
}
