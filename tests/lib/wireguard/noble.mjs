// WireGuard's handshake by an implementation that is not ours: @noble/curves, @noble/hashes and
// @noble/ciphers, unpacked by scripts/fetch-noble into DIR.
//
//   node noble.mjs DIR > tests/vectors/wireguard-noble.json
//
// Everything is written down anew from the WireGuard paper, section 5.4; nothing here was produced by
// the code it checks.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [dir] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(dir, 'node_modules/@noble', path)).href);
const { x25519 } = await load('curves/esm/ed25519.js');
const { blake2s } = await load('hashes/esm/blake2.js');
const { hmac } = await load('hashes/esm/hmac.js');
const { chacha20poly1305, xchacha20poly1305 } = await load('ciphers/esm/chacha.js');

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const text = (string) => new Uint8Array(Buffer.from(string, 'latin1'));
const join_ = (...parts) => new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part))));
const u32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

// Section 5.4's functions, under its names.
const Hash = (input) => blake2s(input);
const Mac = (key, input) => blake2s(input, { key, dkLen: 16 });
const Hmac = (key, input) => hmac(blake2s, key, input);
const Aead = (key, counter, plain, auth) =>
  chacha20poly1305(key, join_(new Uint8Array(4), u64(counter)), auth).encrypt(plain);
const Xaead = (key, nonce, plain, auth) => xchacha20poly1305(key, nonce, auth).encrypt(plain);
function Kdf(n, key, input) {
  const t0 = Hmac(key, input);
  const out = [Hmac(t0, Uint8Array.of(1))];
  while (out.length < n) out.push(Hmac(t0, join_(out.at(-1), Uint8Array.of(out.length + 1))));
  return out;
}

// Secrets that are different and anybody can make again.
let made = 0;
const fixed = (size) => {
  made += 1;
  return blake2s(text(`lp-tools wireguard vector ${made}`), { dkLen: size });
};
const pair = () => {
  const secret = fixed(32);
  return { secret, public: x25519.getPublicKey(secret) };
};
const dh = (own, peer) => x25519.getSharedSecret(own.secret, peer.public);

const construction = text('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s');
const identifier = text('WireGuard v1 zx2c4 Jason@zx2c4.com');
const empty = new Uint8Array(0);
const zero16 = new Uint8Array(16);

function macs(message, recipient, cookie) {
  const mac1 = Mac(Hash(join_(text('mac1----'), recipient)), message);
  const with1 = join_(message, mac1);
  return { datagram: join_(with1, cookie ? Mac(cookie, with1) : zero16), mac1 };
}

function handshake({ name, preshared, cookie }) {
  const i = pair();
  const r = pair();
  const ei = pair();
  const er = pair();
  const senderI = Buffer.from(fixed(4)).readUInt32LE();
  const senderR = Buffer.from(fixed(4)).readUInt32LE();
  const seconds = 1_763_770_000 + made;
  const nanoseconds = 123_456_789;
  const timestamp = Buffer.alloc(12);
  timestamp.writeBigUInt64BE((1n << 62n) + 10n + BigInt(seconds), 0);
  timestamp.writeUInt32BE(nanoseconds, 8);

  let C = Hash(construction);
  let H = Hash(join_(C, identifier));
  H = Hash(join_(H, r.public));

  // First message: initiator to responder
  let k;
  C = Kdf(1, C, ei.public)[0];
  H = Hash(join_(H, ei.public));
  [C, k] = Kdf(2, C, dh(ei, r));
  const sealedStatic = Aead(k, 0, i.public, H);
  H = Hash(join_(H, sealedStatic));
  [C, k] = Kdf(2, C, dh(i, r));
  const sealedTimestamp = Aead(k, 0, timestamp, H);
  H = Hash(join_(H, sealedTimestamp));
  const first = macs(
    join_(Uint8Array.of(1, 0, 0, 0), u32(senderI), ei.public, sealedStatic, sealedTimestamp),
    r.public, cookie);

  // Second message: responder to initiator
  C = Kdf(1, C, er.public)[0];
  H = Hash(join_(H, er.public));
  C = Kdf(1, C, dh(er, ei))[0];
  C = Kdf(1, C, dh(er, i))[0];
  let t;
  [C, t, k] = Kdf(3, C, preshared ?? new Uint8Array(32));
  H = Hash(join_(H, t));
  const sealedNothing = Aead(k, 0, empty, H);
  H = Hash(join_(H, sealedNothing));
  const second = macs(
    join_(Uint8Array.of(2, 0, 0, 0), u32(senderR), u32(senderI), er.public, sealedNothing),
    i.public, null);

  const [sendI, receiveI] = Kdf(2, C, empty);
  const transport = [];
  const put = (from, key, receiver, counter, packet) => {
    const padded = join_(packet, new Uint8Array((16 - (packet.length % 16)) % 16));
    transport.push({
      from, counter, packet: hex(packet),
      datagram: hex(join_(Uint8Array.of(4, 0, 0, 0), u32(receiver), u64(counter),
        Aead(key, counter, padded, empty))),
    });
  };
  put('initiator', sendI, senderR, 0, empty);
  put('initiator', sendI, senderR, 1, fixed(1));
  put('initiator', sendI, senderR, 2, join_(fixed(32), fixed(31)));
  put('responder', receiveI, senderI, 0, fixed(16));
  put('responder', receiveI, senderI, 1, empty);
  put('responder', receiveI, senderI, 1023, fixed(17));

  return {
    name,
    initiator_static: hex(i.secret), initiator_static_public: hex(i.public),
    responder_static: hex(r.secret), responder_static_public: hex(r.public),
    initiator_ephemeral: hex(ei.secret), responder_ephemeral: hex(er.secret),
    initiator_index: senderI, responder_index: senderR,
    preshared: hex(preshared ?? new Uint8Array(32)), cookie: cookie ? hex(cookie) : null,
    unix_seconds: seconds, nanoseconds, timestamp: hex(timestamp),
    initiation: hex(first.datagram), response: hex(second.datagram), handshake_hash: hex(H),
    transport,
  };
}

// A responder under load answers the initiation of `of` with a cookie.
function cookieReply(of) {
  const cookie = fixed(16);
  const nonce = fixed(24);
  const initiation = Buffer.from(of.initiation, 'hex');
  const key = Hash(join_(text('cookie--'), Buffer.from(of.responder_static_public, 'hex')));
  const sealed = Xaead(key, nonce, cookie, initiation.subarray(116, 132));
  return {
    handshake: of.name, cookie: hex(cookie),
    datagram: hex(join_(Uint8Array.of(3, 0, 0, 0), u32(of.initiator_index), nonce, sealed)),
  };
}

const handshakes = [
  handshake({ name: 'no preshared key', preshared: null, cookie: null }),
  handshake({ name: 'preshared key', preshared: fixed(32), cookie: null }),
  handshake({ name: 'preshared key and cookie', preshared: fixed(32), cookie: fixed(16) }),
];
const versionOf = (name) =>
  JSON.parse(readFileSync(join(dir, 'node_modules/@noble', name, 'package.json'), 'utf8')).version;
const about =
  `Made by tests/lib/wireguard/noble.mjs with @noble/curves ${versionOf('curves')}, @noble/hashes ` +
  `${versionOf('hashes')} and @noble/ciphers ${versionOf('ciphers')}`;
process.stdout.write(JSON.stringify(
  { about, handshakes, cookie_replies: handshakes.slice(0, 2).map(cookieReply) }, null, 1) + '\n');
