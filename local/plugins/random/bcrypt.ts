import { randomBytes } from "node:crypto";

/** Rounds are 2^cost; the official plugin's choice. */
const cost = 10;
const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/**
 * The bcrypt hash (`$2a$`) of a text's first 72 bytes. Only for the output that the official `random` plugin keeps beside a
 * password: nothing here verifies one. Source: Provos and Mazieres, "A Future-Adaptable Password Scheme" (1999).
 */
export function bcryptHash(text: string, salt: Uint8Array = randomBytes(16)): string {
  const key = Buffer.concat([Buffer.from(text, "utf8").subarray(0, 72), Buffer.from([0])]).subarray(0, 72);
  const cipher = initialState();
  expandKey(cipher, key, salt);
  const noSalt = new Uint8Array(16);
  for (let round = 0; round < 2 ** cost; round += 1) {
    expandKey(cipher, key, noSalt);
    expandKey(cipher, salt, noSalt);
  }
  const words = new Uint32Array(6);
  const plain = Buffer.from("OrpheanBeholderScryDoubt", "latin1");
  for (let index = 0; index < 6; index += 1) words[index] = plain.readUInt32BE(index * 4);
  for (let index = 0; index < 6; index += 2) {
    for (let round = 0; round < 64; round += 1) encrypt(cipher, words, index);
  }
  const hash = Buffer.alloc(24);
  words.forEach((word, index) => hash.writeUInt32BE(word, index * 4));
  // The format drops the last byte.
  return `$2a$${cost}$${encode(salt)}${encode(hash.subarray(0, 23))}`;
}

/** Blowfish: 18 subkeys and four boxes of 256 words. */
interface Cipher {
  readonly subkeys: Uint32Array;
  readonly boxes: Uint32Array;
}

let digits: Uint32Array | undefined;

function initialState(): Cipher {
  digits ??= piWords(18 + 1024);
  return { subkeys: digits.slice(0, 18), boxes: digits.slice(18) };
}

/** The first `count` 32-bit words of pi's fraction, which is what Blowfish starts from (Machin's formula). */
function piWords(count: number): Uint32Array {
  const guardBits = 64;
  const scale = 1n << BigInt(count * 32 + guardBits);
  const arctanOfInverse = (x: bigint): bigint => {
    let power = scale / x;
    let sum = power;
    for (let n = 3n, sign = -1n; power !== 0n; n += 2n, sign = -sign) {
      power /= x * x;
      sum += (sign * power) / n;
    }
    return sum;
  };
  const pi = 4n * (4n * arctanOfInverse(5n) - arctanOfInverse(239n));
  const hex = ((pi - 3n * scale) >> BigInt(guardBits)).toString(16).padStart(count * 8, "0");
  return Uint32Array.from({ length: count }, (_, index) => Number.parseInt(hex.slice(index * 8, index * 8 + 8), 16));
}

function encrypt({ subkeys, boxes }: Cipher, block: Uint32Array, at: number): void {
  let left = block[at] as number;
  let right = block[at + 1] as number;
  for (let round = 0; round < 16; round += 2) {
    left ^= subkeys[round] as number;
    right ^= mix(boxes, left);
    right ^= subkeys[round + 1] as number;
    left ^= mix(boxes, right);
  }
  block[at] = right ^ (subkeys[17] as number);
  block[at + 1] = left ^ (subkeys[16] as number);
}

function mix(boxes: Uint32Array, word: number): number {
  const sum = (boxes[word >>> 24] as number) + (boxes[256 + ((word >>> 16) & 255)] as number);
  return ((sum ^ (boxes[512 + ((word >>> 8) & 255)] as number)) + (boxes[768 + (word & 255)] as number)) | 0;
}

function expandKey(cipher: Cipher, key: Uint8Array, salt: Uint8Array): void {
  let keyAt = 0;
  for (let index = 0; index < 18; index += 1) {
    let word = 0;
    for (let byte = 0; byte < 4; byte += 1) word = (word << 8) | (key[keyAt++ % key.length] as number);
    cipher.subkeys[index] = (cipher.subkeys[index] as number) ^ word;
  }
  const saltWords = new Uint32Array(4);
  const saltView = new DataView(salt.buffer, salt.byteOffset, 16);
  for (let index = 0; index < 4; index += 1) saltWords[index] = saltView.getUint32(index * 4);
  const block = new Uint32Array(2);
  let saltAt = 0;
  for (const table of [cipher.subkeys, cipher.boxes]) {
    for (let index = 0; index < table.length; index += 2) {
      block[0] = (block[0] as number) ^ (saltWords[saltAt % 4] as number);
      block[1] = (block[1] as number) ^ (saltWords[(saltAt + 1) % 4] as number);
      saltAt += 2;
      encrypt(cipher, block, 0);
      table.set(block, index);
    }
  }
}

/** Bcrypt's own base 64: another alphabet, no padding. */
function encode(bytes: Uint8Array): string {
  let bits = "";
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0");
  const characters = bits.match(/.{1,6}/g) ?? [];
  return characters.map((group) => alphabet.charAt(Number.parseInt(group.padEnd(6, "0"), 2))).join("");
}
