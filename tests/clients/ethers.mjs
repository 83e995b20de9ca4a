// ethers against a running node: node ethers.mjs HTTP-URL WS-URL
import { ContractFactory, HDNodeWallet, JsonRpcProvider, NonceManager, WebSocketProvider, id, parseEther, randomBytes, hexlify } from 'ethers'
import { abi, bytecode, check, mnemonic } from './counter.mjs'

const [, , httpUrl, wsUrl] = process.argv
// ethers' wait() can miss a block, and on this chain no other block follows. It keeps answers for 250 ms: that there is no
// receipt yet is still its answer when it hears of the block, so nothing is kept here. And its first look at the head only
// notes it: a listener of our own has it look from the start.
const provider = new JsonRpcProvider(httpUrl, undefined, { pollingInterval: 50, cacheTimeout: -1 })
provider.on('block', () => {})
const socket = new WebSocketProvider(wsUrl)
const wallet = HDNodeWallet.fromPhrase(mnemonic, undefined, "m/44'/60'/0'/0/1").connect(provider)
const signer = new NonceManager(wallet)

check((await provider.getNetwork()).chainId === 1337n, 'chain id')
check((await provider.getBalance(wallet.address)) > parseEther('1000'), 'a funded account')

const contract = await new ContractFactory(abi, bytecode(id('Count(uint256)')), signer).deploy()
await contract.waitForDeployment()
const address = await contract.getAddress()
check((await provider.getCode(address)).length > 2, 'a contract is deployed')

// A listener is on its way when `on` has resolved, and in place when what was asked after it is answered.
let hear, head
const heard = new Promise((resolve) => (hear = resolve))
const headed = new Promise((resolve) => (head = resolve))
await contract.connect(socket).on('Count', (value) => hear(value))
await socket.on('block', head)
await socket.getBlockNumber()
check((await contract.add.staticCall(7)) === 7n, 'a simulated call')
const receipt = await (await contract.add(7)).wait()
check(receipt.status === 1 && receipt.logs.length === 1, 'a log in the receipt')
check((await contract.count()) === 7n, 'a read')
const events = await contract.queryFilter('Count', 0)
check(events.length === 1 && events[0].args[0] === 7n, 'an event is found')
check((await heard) === 7n, 'an event is heard over WebSocket')
check((await headed) > 0, 'a head is heard over WebSocket')

const data = hexlify(randomBytes(60_000))
const published = await (await signer.sendTransaction({ to: wallet.address, data })).wait()
check((await provider.getTransaction(published.hash)).data === data, 'calldata comes back')
const unlocked = await provider.getSigner(2)
const sent = await (await unlocked.sendTransaction({ to: wallet.address, value: 1n })).wait()
check(sent.status === 1, 'an unlocked account sends')
check((await provider.getBlock('latest', true)).prefetchedTransactions.length > 0, 'a block with its transactions')
check((await provider.getFeeData()).maxFeePerGas > 0n, 'fees are suggested')
const refused = await provider.send('eth_getBalance', [address, '0x999999']).then(() => 'answered', (error) => error.message)
check(refused.includes('header not found'), 'an unknown block is an error')
process.exit(0)
