import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { change, first, one, query, type Unit } from '../database/unit.ts'
import { canonical } from './record.ts'

/** A person as the directory knows them; stored only under the person's own key. */
export interface Person {
  /** Name of the account; identifies the person here. */
  readonly account: string
  readonly name: string
  readonly unit?: string
  readonly mail?: string
}

/** Randomness for one directory row, drawn before the unit that may need it. */
export interface ActorDraw {
  readonly ref: string
  readonly dataKey: Uint8Array
  readonly nonce: Uint8Array
}

export function drawActor(): ActorDraw {
  return { ref: randomBytes(16).toString('hex'), dataKey: randomBytes(32), nonce: randomBytes(12) }
}

/**
 * The ref that stands for a person in entries of a calendar year: 128 random bits, not derived from anything.
 *
 * The first call of a year makes it. The directory row that resolves it is sealed with AES-256-GCM under a
 * key of that person alone, so that destroying one key makes every ref of one person unresolvable.
 */
export function* actorRef(person: Person, at: Date, draw: ActorDraw): Unit<string> {
  yield* change(
    query
      .insertInto('actor_keys')
      .values({ account: person.account, data_key: draw.dataKey, created_at: Math.floor(at.getTime() / 1000) })
      .onConflict((conflict) => conflict.column('account').doNothing()),
  )
  const key = yield* one(
    query.selectFrom('actor_keys').select(['id', 'data_key']).where('account', '=', person.account),
  )
  return yield* refOfYear(person, key, at.getUTCFullYear(), draw)
}

/** The same person's ref for the year of `at`; undefined for a ref that resolves no longer. */
export function* currentActorRef(ref: string, at: Date, draw: ActorDraw): Unit<string | undefined> {
  const person = yield* resolveActor(ref)
  return person === undefined ? undefined : yield* actorRef(person, at, draw)
}

/** Who a ref stands for; undefined once erased. Whoever asks has to be allowed to and puts it on record. */
export function* resolveActor(ref: string): Unit<Person | undefined> {
  const row = yield* first(
    query
      .selectFrom('actors')
      .innerJoin('actor_keys', 'actor_keys.id', 'actors.account_id')
      .select(['actors.year', 'actors.nonce', 'actors.sealed', 'actor_keys.data_key'])
      .where('actors.actor_ref', '=', ref),
  )
  return row === undefined ? undefined : unseal(row.sealed, row.data_key, row.nonce, boundTo(ref, row.year))
}

/** Destroys a person's key and directory rows. The refs stay in the chain and resolve no longer. */
export function* eraseActor(account: string): Unit<boolean> {
  return (yield* change(query.deleteFrom('actor_keys').where('account', '=', account))) > 0
}

function* refOfYear(
  person: Person,
  key: { readonly id: number; readonly data_key: Uint8Array },
  year: number,
  draw: ActorDraw,
): Unit<string> {
  const known = yield* first(
    query.selectFrom('actors').select('actor_ref').where('account_id', '=', key.id).where('year', '=', year),
  )
  if (known !== undefined) return known.actor_ref
  const sealed = seal(person, key.data_key, draw.nonce, boundTo(draw.ref, year))
  yield* change(
    query.insertInto('actors').values({ actor_ref: draw.ref, account_id: key.id, year, nonce: draw.nonce, sealed }),
  )
  return draw.ref
}

/** A row moved to another ref or year does not open. */
function boundTo(ref: string, year: number): Buffer {
  return Buffer.from(`${ref}|${year}`)
}

function seal(person: Person, key: Uint8Array, nonce: Uint8Array, aad: Buffer): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(aad)
  return Buffer.concat([cipher.update(canonical({ ...person })), cipher.final(), cipher.getAuthTag()])
}

function unseal(sealed: Uint8Array, key: Uint8Array, nonce: Uint8Array, aad: Buffer): Person {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(aad)
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const text = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]).toString()
  return JSON.parse(text) as Person // authenticated: `seal` wrote it
}

const TAG_BYTES = 16
