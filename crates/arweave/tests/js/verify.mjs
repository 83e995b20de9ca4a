// arweave-js and arbundles verify what Weft signed: node verify.mjs FOLDER
import { arbundles, arweave, base64, bytes, check, data, done, merkle, read, readJson } from './common.mjs'

const { sizes, address, items, depth } = readJson('ours.json')
const jwk = readJson('ours.jwk')
check((await arweave.wallets.jwkToAddress(jwk)) === address, 'the address of our wallet')
const probe = await arweave.createTransaction({ data: 'x', last_tx: '', reward: '1' }, jwk)
await arweave.transactions.sign(probe, jwk)
check(await arweave.transactions.verify(probe), 'our key signs in arweave-js')

for (const [index, size] of sizes.entries()) {
  const raw = readJson(`ours-${index}.tx.json`)
  check(await arweave.transactions.verify(arweave.transactions.fromRaw(raw)), `transaction ${index}`)
  const whole = data(size)
  const made = await merkle.generateTransactionChunks(new Uint8Array(whole))
  check(raw.data_size === String(size), `size of ${size}`)
  check(raw.data_root === (size ? base64(made.data_root) : ''), `root of ${size}`)
  const chunks = readJson(`ours-${index}.chunks.json`)
  check(chunks.length === (size ? made.chunks.length : 0), `number of chunks of ${size}`)
  for (const [at, chunk] of chunks.entries()) {
    const name = `chunk ${at} of ${size}`
    check(chunk.data_root === raw.data_root && chunk.data_size === raw.data_size, `${name}: root and size`)
    check(chunk.data_path === base64(made.proofs[at].proof), `${name}: path`)
    check(chunk.offset === String(made.proofs[at].offset), `${name}: offset`)
    const { minByteRange, maxByteRange } = made.chunks[at]
    check(bytes(chunk.chunk).equals(whole.subarray(minByteRange, maxByteRange)), `${name}: bytes`)
    const valid = await merkle.validatePath(made.data_root, Number(chunk.offset), 0, size, bytes(chunk.data_path))
    check(valid && valid.chunkSize === bytes(chunk.chunk).length, `${name}: proof`)
  }
}
for (const name of ['transfer', 'inline']) {
  check(await arweave.transactions.verify(arweave.transactions.fromRaw(readJson(`ours-${name}.tx.json`))), name)
}

async function checkItem(raw, expected) {
  check(await arbundles.DataItem.verify(raw), `item ${expected.id} verifies`)
  const item = new arbundles.DataItem(raw)
  check(item.id === expected.id && item.signatureType === expected.type, 'id and type')
  check(item.target === expected.target && base64(item.rawAnchor) === expected.anchor, 'target and anchor')
  const tags = item.tags.map(({ name, value }) => [name, value])
  check(JSON.stringify(tags) === JSON.stringify(expected.tags), 'tags')
  check(base64(item.rawData) === expected.data, 'data')
}
for (const [index, expected] of items.entries()) await checkItem(read(`ours-${index}.item`), expected)

let bundle = new arbundles.Bundle(read('ours.bundle'))
for (let level = depth; level > 0; level--) {
  check(bundle.length === 1 && (await bundle.verify()), `the bundle around, ${level}`)
  bundle = new arbundles.Bundle(bundle.items[0].rawData)
}
check(bundle.length === items.length && (await bundle.verify()), 'the bundle')
for (const [index, expected] of items.entries()) await checkItem(bundle.get(index).getRaw(), expected)
done()
