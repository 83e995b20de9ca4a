// arweave-js and arbundles against the embedded gateway, whose URL is the argument; wallet.json is funded.
import { createRequire } from 'node:module'
import fs from 'node:fs'

const require = createRequire(import.meta.url)
const Arweave = require('arweave')
const arbundles = require('arbundles')
const merkle = require('arweave/node/lib/merkle.js')

const url = process.argv[2]
const { hostname, port } = new URL(url)
const arweave = Arweave.init({ host: hostname, port, protocol: 'http' })
const key = JSON.parse(fs.readFileSync('wallet.json'))

let checks = 0
function check(condition, what) {
  checks += 1
  if (!condition) {
    console.error(`failed: ${what}`)
    process.exit(1)
  }
}
const data = (length, seed) => Buffer.from(Array.from({ length }, (_, at) => (at * 7 + (at >> 9) + seed) & 255))
const equal = (left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)) === 0
const mine = async () => check((await fetch(`${url}/mine`)).ok, 'mine')
const bytesOf = async (id) => new Uint8Array(await (await fetch(`${url}/${id}`)).arrayBuffer())

// The network.
const address = await arweave.wallets.jwkToAddress(key)
check(BigInt(await arweave.wallets.getBalance(address)) > 0n, 'balance')
check((await arweave.network.getInfo()).height === 0, 'info')
await mine()
check((await arweave.blocks.getCurrent()).height === 1, 'current block')

// Transactions of one chunk and of many, through both of the library's ways to post.
async function publish(bytes, seed) {
  const transaction = await arweave.createTransaction({ data: bytes }, key)
  transaction.addTag('App-Name', 'weft-test')
  transaction.addTag('Content-Type', 'application/x-test')
  transaction.addTag('Seed', String(seed))
  await arweave.transactions.sign(transaction, key)
  if (seed % 2) {
    const uploader = await arweave.transactions.getUploader(transaction)
    while (!uploader.isComplete) await uploader.uploadChunk()
  } else {
    const { status } = await arweave.transactions.post(transaction)
    check(status === 200, `post: ${status}`)
  }
  check((await arweave.transactions.getStatus(transaction.id)).status === 202, 'it waits')
  return transaction
}
const sizes = [1, 1000, 262144, 262145, 300000, 5 * 262144 + 1]
const published = []
for (const [seed, size] of sizes.entries()) published.push([await publish(data(size, seed), seed), data(size, seed)])
await mine()
await mine()
for (const [transaction, bytes] of published) {
  const { confirmed } = await arweave.transactions.getStatus(transaction.id)
  check(confirmed.number_of_confirmations === 2 && confirmed.block_height === 2, 'confirmations')
  const served = await arweave.transactions.get(transaction.id)
  check(await arweave.transactions.verify(served), 'the signature of what is served')
  check(equal(await arweave.chunks.downloadChunkedData(transaction.id), bytes), 'data from chunks')
  check(equal(await arweave.transactions.getData(transaction.id, { decode: true }), bytes), 'getData')
  check(equal(await bytesOf(transaction.id), bytes), 'data in one piece')
  const { offset, size } = await arweave.chunks.getTransactionOffset(transaction.id)
  const chunk = await arweave.chunks.getChunk(String(BigInt(offset) - BigInt(size) + 1n))
  const path = arweave.utils.b64UrlToBuffer(chunk.data_path)
  const root = arweave.utils.b64UrlToBuffer(served.data_root)
  check(await merkle.validatePath(root, 0, 0, Number(size), path), 'the proof of a chunk')
}
const block = await arweave.blocks.getByHeight(2)
check(published.every(([transaction]) => block.txs.includes(transaction.id)), 'the block')

// A transfer.
const target = await arweave.wallets.jwkToAddress(await arweave.wallets.generate())
const transfer = await arweave.createTransaction({ target, quantity: '12345' }, key)
await arweave.transactions.sign(transfer, key)
check((await arweave.transactions.post(transfer)).status === 200, 'a transfer')
await mine()
check((await arweave.wallets.getBalance(target)) === '12345', 'what was transferred')
check((await arweave.wallets.getLastTransactionID(address)) === transfer.id, 'last transaction')

// What was tampered with.
const tampered = await arweave.createTransaction({ data: 'x' }, key)
await arweave.transactions.sign(tampered, key)
tampered.reward = String(BigInt(tampered.reward) + 1n)
check((await arweave.transactions.post(tampered)).status === 400, 'a tampered transaction')

// Bundles of items with both kinds of keys, posted as a transaction, nested.
const signers = [
  new arbundles.ArweaveSigner(key),
  new arbundles.EthereumSigner('ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'),
]
const format = [{ name: 'Bundle-Format', value: 'binary' }, { name: 'Bundle-Version', value: '2.0.0' }]
async function makeItem(signer, content, tags) {
  const item = arbundles.createData(content, signer, { tags, anchor: 'a'.repeat(32) })
  await item.sign(signer)
  return item
}
const items = []
for (const [at, signer] of signers.entries()) {
  for (const size of [10, 70000, 300000]) items.push([await makeItem(signer, data(size, at), [{ name: 'Kind', value: `kind-${at}` }]), data(size, at)])
}
const inner = await arbundles.bundleAndSignData(items.slice(3).map(([item]) => item), signers[0])
const nested = await makeItem(signers[0], inner.getRaw(), format)
const outer = await arbundles.bundleAndSignData([...items.slice(0, 3).map(([item]) => item), nested], signers[0])
const carrier = await outer.toTransaction({}, arweave, key)
await arweave.transactions.sign(carrier, key)
const uploader = await arweave.transactions.getUploader(carrier)
while (!uploader.isComplete) await uploader.uploadChunk()
await mine()
for (const [item, bytes] of items) check(equal(await bytesOf(item.id), bytes), 'an item in a bundle')

// One through the bundler.
const uploaded = await makeItem(signers[1], 'through the bundler', [{ name: 'Kind', value: 'uploaded' }])
const headers = { 'content-type': 'application/octet-stream' }
const answer = await fetch(`${url}/v1/tx`, { method: 'POST', headers, body: uploaded.getRaw() })
check(answer.ok && (await answer.json()).id === uploaded.id, 'an upload')
await mine()

// GraphQL.
async function query(text, variables) {
  const { data } = await arweave.api.post('graphql', { query: text, variables })
  check(!data.errors, JSON.stringify(data.errors))
  return data.data
}
const list = `query($tags: [TagFilter!], $after: String) { transactions(tags: $tags, first: 2, after: $after, sort: HEIGHT_ASC) {
  pageInfo { hasNextPage } edges { cursor node { id owner { address } tags { name value } data { size } block { id height timestamp } bundledIn { id } } } } }`
async function all(tags) {
  const found = []
  let after = ''
  for (;;) {
    const { transactions } = await query(list, { tags, after })
    found.push(...transactions.edges.map((edge) => edge.node))
    if (!transactions.pageInfo.hasNextPage) return found
    after = transactions.edges.at(-1).cursor
  }
}
const own = await all([{ name: 'App-Name', values: ['weft-test'] }])
check(own.map((node) => node.id).join() === published.map(([transaction]) => transaction.id).join(), 'by tag')
check(own.every((node, at) => Number(node.data.size) === sizes[at] && node.owner.address === address), 'fields')
const ethereum = await all([{ name: 'Kind', values: ['kind-1', 'uploaded'] }])
check(ethereum.length === 4, 'items by tag')
check(ethereum.filter((node) => node.bundledIn.id === nested.id).length === 3, 'bundledIn of nested items')
const bundled = await bytesOf(ethereum.find((node) => node.id === uploaded.id).bundledIn.id)
check(await new arbundles.Bundle(Buffer.from(bundled)).verify(), "the bundler's bundle")
console.log(`${checks} checks`)
