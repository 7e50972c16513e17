// Tickets by an implementation of BLS12-381 that is not ours: @noble/curves, unpacked by
// scripts/fetch-noble into DIR.
//
//   node noble.mjs DIR vectors > tests/vectors/ecash-noble.json
//   node noble.mjs DIR peer        one request a line on standard input, one answer a line
//
// Everything is written down anew from docs/ecash.md; nothing here was produced by the code it checks.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [dir, command] = process.argv.slice(2);
const curves = join(dir, 'node_modules/@noble/curves');
const { bls12_381: bls } = await import(pathToFileURL(join(curves, 'esm/bls12-381.js')).href);

const DST = 'LP-ECASH-V1-BLS12381G1_XMD:SHA-256_SSWU_RO_';
const { Fp, Fp2, Fp12, Fr } = bls.fields;
const G1 = bls.G1.Point;
const G2 = bls.G2.Point;
const p = Fp.ORDER;
const r = Fr.ORDER;

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const unhex = (text) => new Uint8Array(Buffer.from(text, 'hex'));
const bytesOf = (number, size) => unhex(number.toString(16).padStart(2 * size, '0'));
const numberOf = (bytes) => BigInt('0x' + hex(bytes));

// Points in compressed form, and back with every check that the library has.
const shown = (point) => hex(point.toBytes(true));
function taken(Point, text) {
  const point = Point.fromHex(text);
  point.assertValidity();
  if (!point.isTorsionFree() || point.is0()) throw new Error('not in the subgroup, or infinity');
  return point;
}

// gateway 32 ‖ nullifier 32 ‖ bandwidth_amount u64 ‖ expiry u64 ‖ ticket type 1
function encodeMessage({ gateway, nullifier, bandwidth_amount, expiry, ticket_type }) {
  const numbers = Buffer.alloc(17);
  numbers.writeBigUInt64BE(BigInt(bandwidth_amount), 0);
  numbers.writeBigUInt64BE(BigInt(expiry), 8);
  numbers.writeUInt8(ticket_type, 16);
  return Buffer.concat([unhex(gateway), unhex(nullifier), numbers]);
}
const hashMessage = (bytes) => bls.shortSignatures.hash(new Uint8Array(bytes), DST);

// e(signature, g2) = e(H, key)
function holds(key, point, signature) {
  return Fp12.eql(bls.pairing(signature, G2.BASE), bls.pairing(point, key));
}

const operations = {
  hash: ({ message }) => ({ point: shown(hashMessage(encodeMessage(message))) }),
  public_key: ({ secret }) => ({ point: shown(G2.BASE.multiply(numberOf(unhex(secret)))) }),
  scalar: () => ({ scalar: hex(bls.utils.randomSecretKey()) }),
  multiply: ({ scalar, point }) => ({
    point: shown(taken(G1, point).multiply(numberOf(unhex(scalar)))),
  }),
  divide: ({ scalar, point }) => ({
    point: shown(taken(G1, point).multiply(Fr.inv(numberOf(unhex(scalar))))),
  }),
  verify: ({ public_key, message, signature }) => ({
    holds: holds(taken(G2, public_key), hashMessage(encodeMessage(message)), taken(G1, signature)),
  }),
};

function peer() {
  createInterface({ input: process.stdin }).on('line', (line) => {
    let answer;
    try {
      const request = JSON.parse(line);
      answer = operations[request.operation](request);
    } catch (error) {
      answer = { error: String(error.message) };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  });
}

// Bytes that look random and are the same each time.
const labelled = (label) => createHash('sha256').update(`ecash-noble ${label}`).digest();
const scalarFrom = (label) => (numberOf(labelled(label)) % (r - 1n)) + 1n;

const worth = [200_000_000n, 100_000_000n, 500_000_000n, 500_000_000n];

function ticket(index) {
  const type = index % 4;
  const message = {
    gateway: hex(labelled(`gateway ${index}`)),
    nullifier: hex(labelled(`nullifier ${index}`)),
    bandwidth_amount: String(worth[type]),
    expiry: String(1763424000 + 86400 * index),
    ticket_type: type,
  };
  const secret = scalarFrom(`secret ${index}`);
  const factor = scalarFrom(`factor ${index}`);
  const key = G2.BASE.multiply(secret);
  const point = hashMessage(encodeMessage(message));
  const blinded = point.multiply(factor);
  const signedBlinded = blinded.multiply(secret);
  const signature = signedBlinded.multiply(Fr.inv(factor));
  if (!holds(key, point, signature)) throw new Error('a signature of its own does not hold');
  return {
    message,
    encoded: hex(encodeMessage(message)),
    point: shown(point),
    secret: hex(bytesOf(secret, 32)),
    public_key: shown(key),
    blinding_factor: hex(bytesOf(factor, 32)),
    blinded: shown(blinded),
    signed_blinded: shown(signedBlinded),
    signature: shown(signature),
  };
}

// Messages at the ends of their fields.
function hashes() {
  const zero = '00'.repeat(32);
  const ones = 'ff'.repeat(32);
  const largest = String(2n ** 64n - 1n);
  const messages = [
    { gateway: zero, nullifier: zero, bandwidth_amount: '0', expiry: '0', ticket_type: 0 },
    { gateway: ones, nullifier: ones, bandwidth_amount: largest, expiry: largest, ticket_type: 3 },
    { gateway: ones, nullifier: zero, bandwidth_amount: '1', expiry: largest, ticket_type: 1 },
    { gateway: zero, nullifier: ones, bandwidth_amount: largest, expiry: '1', ticket_type: 2 },
  ];
  return messages.map((message) => ({
    message,
    encoded: hex(encodeMessage(message)),
    point: shown(hashMessage(encodeMessage(message))),
  }));
}

const keys = () =>
  [1n, 2n, r - 1n, scalarFrom('key')].map((secret) => ({
    secret: hex(bytesOf(secret, 32)),
    public_key: shown(G2.BASE.multiply(secret)),
  }));

// The compressed form of a coordinate alone, which need not be one of a point.
function compressedG1(x) {
  const bytes = bytesOf(x, 48);
  bytes[0] |= 0x80;
  return hex(bytes);
}
const compressedG2 = ({ c0, c1 }) => compressedG1(c1) + hex(bytesOf(c0, 48));

function withFlags(text, change) {
  const bytes = unhex(text);
  bytes[0] = change(bytes[0]);
  return hex(bytes);
}

// What this implementation says of an encoding: 'subgroup' for a point of the curve outside it.
function verdict(Point, text) {
  try {
    Point.fromHex(text);
    return 'good';
  } catch (error) {
    return error.message.includes('subgroup') ? 'subgroup' : 'no point';
  }
}

function firstThat(make, test) {
  for (let i = 1n; ; i++) {
    const item = make(i);
    if (test(item)) return item;
  }
}

// A point with one of order 3 added, compressed: what a check by pairing alone does not see.
function shifted(point) {
  const order3 = new G1(0n, 2n, 1n);
  if (!order3.double().add(order3).is0()) throw new Error('(0, 2) has not order 3');
  const { x, y } = point.add(order3).toAffine();
  return withFlags(compressedG1(x), (b) => (2n * y > p ? b | 0x20 : b));
}

// Three tickets under one key, each signature with the same point of order 3 added: the additions
// cancel in the sum of all three.
function shiftedTickets() {
  const secret = scalarFrom('shifted secret');
  const tickets = [0, 1, 2].map((index) => {
    const { message, point } = ticket(index);
    return { message, signature: shifted(G1.fromHex(point).multiply(secret)) };
  });
  return { public_key: shown(G2.BASE.multiply(secret)), tickets };
}

// Encodings that must be refused, each with the one reason.
function refusals() {
  const fp2 = (c0, c1) => Fp2.fromBigTuple([c0, c1]);
  const g1 = shown(G1.BASE.multiply(scalarFrom('g1')));
  const g2 = shown(G2.BASE.multiply(scalarFrom('g2')));
  // Points of the subgroup with a coordinate so small that it fits a second time, p higher.
  const room = 2n ** 381n - p;
  const small1 = firstThat((i) => G1.BASE.multiply(i), (point) => point.toAffine().x < room);
  const small2 = firstThat((i) => G2.BASE.multiply(i), (point) => point.toAffine().x.c1 < room);
  const x2 = small2.toAffine().x;
  const offCurve1 = firstThat((i) => i, (x) => verdict(G1, compressedG1(x)) === 'no point');
  const offCurve2 = firstThat(
    (i) => fp2(i, 0n),
    (x) => verdict(G2, compressedG2(x)) === 'no point',
  );
  const outside1 = firstThat((i) => i, (x) => verdict(G1, compressedG1(x)) === 'subgroup');
  const outside2 = firstThat(
    (i) => fp2(i, 0n),
    (x) => verdict(G2, compressedG2(x)) === 'subgroup',
  );

  const of = (size, good, cases) => [
    ['empty', '', 'point_size'],
    ['one byte short', good.slice(2), 'point_size'],
    ['one byte long', good + '00', 'point_size'],
    ['not marked as compressed', withFlags(good, (b) => b & 0x7f), 'point_flags'],
    ['marked as infinity', withFlags(good, (b) => b | 0x40), 'point_flags'],
    ['all zero', '00'.repeat(size), 'point_flags'],
    ['infinity', 'c0' + '00'.repeat(size - 1), 'point_infinity'],
    ['infinity with a sign', 'e0' + '00'.repeat(size - 1), 'point_flags'],
    ['infinity with a last bit', 'c0' + '00'.repeat(size - 2) + '01', 'point_flags'],
    ['infinity, not compressed', '40' + '00'.repeat(size - 1), 'point_flags'],
    ['all ones', 'ff'.repeat(size), 'point_flags'],
    ['every bit of x', '9f' + 'ff'.repeat(size - 1), 'point_not_canonical'],
    ...cases,
  ].map(([name, encoding, error]) => ({ name, encoding, error }));

  return {
    g1: of(48, g1, [
      ['x = p', compressedG1(p), 'point_not_canonical'],
      ['a good x plus p', compressedG1(small1.toAffine().x + p), 'point_not_canonical'],
      ['x not of the curve', compressedG1(offCurve1), 'point_not_on_curve'],
      ['outside the subgroup', compressedG1(outside1), 'point_not_in_subgroup'],
      ['order 3', compressedG1(0n), 'point_not_in_subgroup'],
      ['a good point plus one of order 3', shifted(G1.fromHex(g1)), 'point_not_in_subgroup'],
    ]),
    g2: of(96, g2, [
      ['c1 = p', compressedG2({ c0: 1n, c1: p }), 'point_not_canonical'],
      ['c0 = p', compressedG2({ c0: p, c1: 1n }), 'point_not_canonical'],
      ['a good c1 plus p', compressedG2({ c0: x2.c0, c1: x2.c1 + p }), 'point_not_canonical'],
      ['a good c0 plus p', compressedG2({ c0: x2.c0 + p, c1: x2.c1 }), 'point_not_canonical'],
      ['x not of the curve', compressedG2(offCurve2), 'point_not_on_curve'],
      ['outside the subgroup', compressedG2(outside2), 'point_not_in_subgroup'],
    ]),
  };
}

function vectors() {
  const { version } = JSON.parse(readFileSync(join(curves, 'package.json')));
  const document = {
    about:
      `Tickets by @noble/curves ${version}, written by tests/lib/ecash/noble.mjs ` +
      '(scripts/fetch-noble DIR && node tests/lib/ecash/noble.mjs DIR vectors). Byte strings are hex, ' +
      'scalars 32 bytes big-endian, points compressed, u64 decimal strings. shifted: signatures that are ' +
      'right but for a point of order 3, and must be refused. refused: encodings of points that must be ' +
      'refused, with the name of the error.',
    tickets: Array.from({ length: 8 }, (_, index) => ticket(index)),
    hashes: hashes(),
    keys: keys(),
    shifted: shiftedTickets(),
    refused: refusals(),
  };
  process.stdout.write(JSON.stringify(document, null, 1) + '\n');
}

if (command === 'vectors') vectors();
else if (command === 'peer') peer();
else {
  process.stderr.write('usage: node noble.mjs DIR vectors|peer\n');
  process.exitCode = 2;
}
