// What both scripts use: the libraries, and a folder of files that the two sides exchange.
import { createRequire } from 'node:module'
import fs from 'node:fs'
import path from 'node:path'

const require = createRequire(import.meta.url)
export const arweave = require('arweave').init({ host: '127.0.0.1', port: 1, protocol: 'http' })
export const merkle = require('arweave/node/lib/merkle.js')
export const deepHash = require('arweave/node/lib/deepHash.js').default
export const arbundles = require('arbundles')

const folder = process.argv[2]
export const read = (name) => fs.readFileSync(path.join(folder, name))
export const readJson = (name) => JSON.parse(read(name))
export const exists = (name) => fs.existsSync(path.join(folder, name))
export const write = (name, content) => fs.writeFileSync(path.join(folder, name), content)
export const writeJson = (name, value) => write(name, JSON.stringify(value))

export const base64 = (bytes) => Buffer.from(bytes).toString('base64url')
export const bytes = (text) => Buffer.from(text, 'base64url')

let checks = 0
export function check(condition, what) {
  checks += 1
  if (!condition) {
    console.error(`failed: ${what}`)
    process.exit(1)
  }
}
export const done = () => console.log(`${checks} checks`)

// Data that both sides can make: byte i of `length` bytes is (31 i + i/251) mod 256.
export function data(length) {
  const made = Buffer.alloc(length)
  for (let at = 0; at < length; at++) made[at] = (at * 31 + Math.floor(at / 251)) & 255
  return made
}
