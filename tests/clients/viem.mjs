// viem against a running node: node viem.mjs HTTP-URL WS-URL
import { createPublicClient, createWalletClient, defineChain, http, keccak256, parseEther, toHex, webSocket } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { abi, bytecode, check, mnemonic } from './counter.mjs'

const [, , httpUrl, wsUrl] = process.argv
const chain = defineChain({
  id: 1337,
  name: 'weft',
  nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [httpUrl], webSocket: [wsUrl] } },
})
const account = mnemonicToAccount(mnemonic)
const client = createPublicClient({ chain, transport: http(httpUrl, { batch: true }), pollingInterval: 50 })
const wallet = createWalletClient({ account, chain, transport: http(httpUrl) })
const socket = createPublicClient({ chain, transport: webSocket(wsUrl) })

check((await client.getChainId()) === 1337, 'chain id')
check((await client.getBalance({ address: account.address })) > parseEther('1000'), 'a funded account')

const deployed = await wallet.deployContract({ abi, bytecode: bytecode(keccak256(toHex('Count(uint256)'))) })
const creation = await client.waitForTransactionReceipt({ hash: deployed })
check(creation.status === 'success' && creation.contractAddress, 'a contract is deployed')
const contract = { address: creation.contractAddress, abi }

const heard = new Promise((resolve, reject) => {
  socket.watchContractEvent({ ...contract, eventName: 'Count', onLogs: (logs) => resolve(logs), onError: reject })
})
const headed = new Promise((resolve, reject) => {
  socket.watchBlocks({ onBlock: resolve, onError: reject })
})
await socket.getBlockNumber()
const { request, result } = await client.simulateContract({ ...contract, functionName: 'add', args: [5n], account })
check(result === 5n, 'a simulated call')
const added = await wallet.writeContract(request)
const receipt = await client.waitForTransactionReceipt({ hash: added })
check(receipt.logs.length === 1, 'a log in the receipt')
check((await client.readContract({ ...contract, functionName: 'count' })) === 5n, 'a read')
check((await client.readContract({ ...contract, functionName: 'count', blockNumber: creation.blockNumber })) === 0n, 'a read of the past')
const events = await client.getContractEvents({ ...contract, eventName: 'Count', fromBlock: 0n })
check(events.length === 1 && events[0].args.value === 5n, 'an event is found')
check((await heard)[0].args.value === 5n, 'an event is heard over WebSocket')
check((await headed).number > 0n, 'a head is heard over WebSocket')

const calldata = toHex(crypto.getRandomValues(new Uint8Array(60_000)))
const published = await wallet.sendTransaction({ to: account.address, data: calldata })
await client.waitForTransactionReceipt({ hash: published })
check((await client.getTransaction({ hash: published })).input === calldata, 'calldata comes back')
check((await client.request({ method: 'da_getBlob', params: [published] })) === calldata, 'so does the blob')

const unlocked = createWalletClient({ chain, transport: http(httpUrl) })
const [first] = await unlocked.getAddresses()
const sent = await unlocked.sendTransaction({ account: first, to: account.address, value: 1n })
check((await client.waitForTransactionReceipt({ hash: sent })).status === 'success', 'an unlocked account sends')
const typed = {
  domain: { name: 'weft', version: '1', chainId: 1337 },
  types: { Note: [{ name: 'text', type: 'string' }, { name: 'count', type: 'uint256' }] },
  primaryType: 'Note',
  message: { text: 'hello', count: 3n },
}
const signature = await unlocked.signTypedData({ account: first, ...typed })
check(await client.verifyTypedData({ address: first, signature, ...typed }), 'an unlocked account signs typed data')
const proof = await client.getProof({ address: contract.address, storageKeys: [toHex(0, { size: 32 })] })
check(proof.storageProof[0].value === 5n, 'a storage proof')
const [block] = await client.simulateBlocks({
  blocks: [{ calls: [{ account: account.address, to: contract.address, abi, functionName: 'add', args: [2n] }] }],
})
check(block.calls[0].status === 'success' && block.calls[0].result === 7n, 'a block is simulated')
const { results, assetChanges } = await client.simulateCalls({
  account: account.address,
  calls: [{ to: '0x00000000000000000000000000000000000000aa', value: 3n }],
  traceAssetChanges: true,
})
check(results[0].status === 'success' && assetChanges[0].value.diff === -3n, 'calls are simulated with what they move')
const pending = await client.getBlock({ blockTag: 'pending' })
check(pending.hash === null && pending.number === (await client.getBlockNumber()) + 1n, 'a pending block')
const fees = await client.estimateFeesPerGas()
check(fees.maxFeePerGas > 0n, 'fees are estimated')
const history = await client.getFeeHistory({ blockCount: 4, rewardPercentiles: [10, 50] })
check(history.baseFeePerGas.length > 1, 'a fee history')
process.exit(0)
