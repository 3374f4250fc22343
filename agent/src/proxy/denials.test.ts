import { type DenialEntry, deniedOf, NOTHING_DENIED } from '@vcc/mesh'
import { testPki } from '@vcc/testkit'
import { expect, test } from 'vitest'
import { answerOf, connectPlain, idOf, leafOf, readToEnd, refusalCode, startPair, tlsClient } from './testing/mesh.ts'

const pki = testPki()
const argus = leafOf(pki, 'argus')
const { serialHex, publicKey } = argus.certificate
const issuer = pki.servicesCa.certificate.publicKey.spkiSha256Hex
const common = { id: 'd-1', until: null }

const denials: readonly DenialEntry[] = [
  { ...common, kind: 'serial', value: serialHex, issuer },
  { ...common, kind: 'spki', value: publicKey.spkiSha256Hex },
  { ...common, kind: 'identity', value: idOf(pki, 'argus') },
  { ...common, kind: 'issuer', value: issuer },
]
const others: readonly DenialEntry[] = [
  { ...common, kind: 'serial', value: serialHex, issuer: pki.otherServicesCa.certificate.publicKey.spkiSha256Hex },
  { ...common, kind: 'identity', value: idOf(pki, 'clara') },
]

for (const entry of denials) {
  test(`a denial of the ${entry.kind} refuses who is remembered as good, until it is released`, async () => {
    await using mesh = await startPair({ mode: 'tcp', pki })
    const answer = async () => {
      const socket = await tlsClient(mesh.callee.inboundPort(), pki, argus)
      const code = refusalCode(await answerOf(socket))
      socket.destroy()
      return code
    }
    expect(await answer()).toBe('OK')
    await mesh.callee.change({ denied: deniedOf([entry]) })
    expect(await answer()).toBe('peer_denied')
    const record = await mesh.callee.record(({ code, result }) => code === 'peer_denied' && result === 'refused')
    expect(record).toMatchObject({ rule: 'identity', source: { id: '' } })
    await mesh.callee.change({ denied: NOTHING_DENIED })
    expect(await answer()).toBe('OK')
  })
}

for (const entry of others) {
  test(`a denial of another ${entry.kind} refuses nobody else`, async () => {
    await using mesh = await startPair({ mode: 'tcp', pki, calleeState: { denied: deniedOf([entry]) } })
    const socket = await tlsClient(mesh.callee.inboundPort(), pki, argus)
    expect(refusalCode(await answerOf(socket))).toBe('OK')
    socket.destroy()
  })
}

for (const side of ['caller', 'callee'] as const) {
  test(`a denial cuts a live connection on the side of the ${side}`, async () => {
    await using mesh = await startPair({ mode: 'tcp', pki })
    const socket = connectPlain(mesh.port)
    socket.write('x')
    await new Promise((resolve) => socket.once('data', resolve))
    const peer = side === 'caller' ? 'covina' : 'argus'
    await mesh[side].change({
      denied: deniedOf([{ ...common, kind: 'identity', value: idOf(pki, peer) }]),
    })
    await readToEnd(socket)
    const record = await mesh[side].record(({ code }) => code === 'peer_denied')
    expect(record).toMatchObject({ rule: 'identity' })
  })
}
