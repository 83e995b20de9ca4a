#!/usr/bin/env node
// The compiler that forge calls: npm's build of solc, behind the two ways in which forge uses the native one.
const solc = require('solc')

if (process.argv.includes('--version')) {
  console.log('solc, the solidity compiler commandline interface')
  console.log(`Version: ${solc.version().replace('Emscripten.clang', 'Linux.g++')}`)
} else {
  let input = ''
  process.stdin.on('data', (piece) => (input += piece))
  process.stdin.on('end', () => process.stdout.write(solc.compile(input)))
}
