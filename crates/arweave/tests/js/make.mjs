// arweave-js and arbundles sign what Weft is to verify: node make.mjs FOLDER
import crypto from 'node:crypto'
import { arbundles, arweave, base64, bytes, data, deepHash, readJson, write, writeJson } from './common.mjs'

const { sizes } = readJson('ours.json')
const jwk = await arweave.wallets.generate()
const theirs = { address: await arweave.wallets.jwkToAddress(jwk), hashes: [], items: [] }
writeJson('theirs.jwk', jwk)

const random = (length) => crypto.randomBytes(length)
const trees = [
  Buffer.alloc(0),
  random(1),
  [],
  [Buffer.alloc(0)],
  [random(3), [random(100), []], random(70_000)],
  [[[[random(5)]]], random(0), random(12)],
]
const plain = (tree) => (Array.isArray(tree) ? tree.map(plain) : base64(tree))
for (const tree of trees) theirs.hashes.push({ tree: plain(tree), hash: base64(await deepHash(tree)) })

async function transaction(name, attributes, tags = []) {
  const made = await arweave.createTransaction({ last_tx: base64(random(48)), reward: '123456789', ...attributes }, jwk)
  for (const [key, value] of tags) made.addTag(key, value)
  await arweave.transactions.sign(made, jwk)
  writeJson(`theirs-${name}.tx.json`, made)
  return made
}
for (const [index, size] of sizes.entries()) {
  if (!size) continue
  const made = await transaction(index, { data: data(size) }, [['App-Name', 'weft'], ['Größe', String(size)]])
  const chunks = made.chunks.chunks.map((_, at) => made.getChunk(at, data(size)))
  writeJson(`theirs-${index}.chunks.json`, chunks)
}
await transaction('transfer', { target: theirs.address, quantity: '66000000000000000000', last_tx: base64(random(32)) })
await transaction('first', { target: theirs.address, quantity: '1', last_tx: '' })
await transaction('format-1', { format: 1, data: 'signed with its data', last_tx: base64(random(32)) }, [['a', 'b']])

const ed25519 = () => {
  const { privateKey } = crypto.generateKeyPairSync('ed25519')
  const { d, x } = privateKey.export({ format: 'jwk' })
  const base58 = (raw) => {
    const letters = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
    let number = BigInt(`0x${Buffer.from(raw).toString('hex')}`)
    let text = ''
    for (; number > 0n; number /= 58n) text = letters[Number(number % 58n)] + text
    return text
  }
  return new arbundles.SolanaSigner(base58(Buffer.concat([bytes(d), bytes(x)])))
}
const signers = [
  new arbundles.ArweaveSigner(jwk),
  new arbundles.EthereumSigner(crypto.randomBytes(32).toString('hex')),
  ed25519(),
]
const contents = [
  [Buffer.alloc(0), {}],
  [random(1000), { tags: [{ name: 'Content-Type', value: 'text/plain' }, { name: 'Ünicode', value: '✓' }] }],
  [random(70_000), { target: base64(random(32)), anchor: random(16).toString('hex'), tags: [{ name: 'a', value: 'b'.repeat(3000) }] }],
  [random(10), { tags: Array.from({ length: 128 }, (_, at) => ({ name: `n${at}`, value: 'v' })) }],
]
const made = []
for (const signer of signers) {
  for (const [content, options] of contents) {
    const item = arbundles.createData(content, signer, options)
    await item.sign(signer)
    write(`theirs-${made.length}.item`, item.getRaw())
    theirs.items.push({
      id: item.id,
      type: item.signatureType,
      target: item.target,
      anchor: base64(item.rawAnchor),
      tags: item.tags.map(({ name, value }) => [name, value]),
      data: base64(content),
    })
    made.push(item)
  }
}
const bundle = await arbundles.bundleAndSignData(made, signers[0])
const tags = [{ name: 'Bundle-Format', value: 'binary' }, { name: 'Bundle-Version', value: '2.0.0' }]
const around = arbundles.createData(bundle.getRaw(), signers[1], { tags })
await around.sign(signers[1])
write('theirs.bundle', (await arbundles.bundleAndSignData([around], signers[0])).getRaw())
writeJson('theirs.json', theirs)
