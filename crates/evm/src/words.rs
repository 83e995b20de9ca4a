//! A transaction's refusal in geth's words, which wallets and tools match on.

use revm::context_interface::result::InvalidTransaction;
use std::fmt;

/// Why a transaction cannot be executed on some state. `Display` gives geth's wording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionError(pub InvalidTransaction);

impl From<InvalidTransaction> for TransactionError {
    fn from(reason: InvalidTransaction) -> Self {
        Self(reason)
    }
}

impl std::error::Error for TransactionError {}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use InvalidTransaction as Reason;
        match &self.0 {
            Reason::PriorityFeeGreaterThanMaxFee => {
                f.write_str("max priority fee per gas higher than max fee per gas")
            }
            Reason::GasPriceLessThanBasefee => f.write_str("max fee per gas less than block base fee"),
            Reason::CallerGasLimitMoreThanBlock => f.write_str("exceeds block gas limit"),
            Reason::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
                write!(f, "intrinsic gas too low: have {gas_limit}, want {initial_gas}")
            }
            Reason::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
                write!(f, "insufficient gas for floor data gas cost: have {gas_limit}, want {gas_floor}")
            }
            Reason::RejectCallerWithCode => f.write_str("sender not an eoa"),
            Reason::LackOfFundForMaxFee { fee, balance } => {
                write!(f, "insufficient funds for gas * price + value: have {balance} want {fee}")
            }
            Reason::OverflowPaymentInTransaction => {
                f.write_str("insufficient funds for gas * price + value: required balance exceeds 256 bits")
            }
            Reason::NonceOverflowInTransaction => f.write_str("nonce has max value"),
            Reason::NonceTooHigh { tx, state } => write!(f, "nonce too high: tx: {tx} state: {state}"),
            Reason::NonceTooLow { tx, state } => write!(f, "nonce too low: tx: {tx} state: {state}"),
            Reason::CreateInitCodeSizeLimit => f.write_str("max initcode size exceeded"),
            Reason::InvalidChainId | Reason::MissingChainId => f.write_str("invalid chain id for signer"),
            Reason::TxGasLimitGreaterThanCap { gas_limit, cap } => {
                write!(f, "transaction gas limit too high (cap: {cap}, tx: {gas_limit})")
            }
            Reason::BlobGasPriceGreaterThanMax { block_blob_gas_price, tx_max_fee_per_blob_gas } => write!(
                f,
                "max fee per blob gas less than block blob gas fee: \
                 maxFeePerBlobGas: {tx_max_fee_per_blob_gas}, blobBaseFee: {block_blob_gas_price}"
            ),
            Reason::EmptyBlobs => f.write_str("blob transaction missing blob hashes"),
            Reason::BlobCreateTransaction => f.write_str("blob transaction of type create"),
            Reason::TooManyBlobs { max, have } => {
                write!(f, "blob transaction has too many blobs (max {max}, have {have})")
            }
            Reason::BlobVersionNotSupported => f.write_str("blob has invalid hash version"),
            Reason::EmptyAuthorizationList => f.write_str("EIP-7702 transaction with empty auth list"),
            Reason::Eip2930NotSupported
            | Reason::Eip1559NotSupported
            | Reason::Eip4844NotSupported
            | Reason::Eip7702NotSupported
            | Reason::AccessListNotSupported
            | Reason::MaxFeePerBlobGasNotSupported
            | Reason::BlobVersionedHashesNotSupported
            | Reason::AuthorizationListNotSupported => f.write_str("transaction type not supported"),
            other => other.fmt(f),
        }
    }
}
