import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeCertificate, decodePem, nameValues, OID, uriIdentityOf } from '@vcc/x509'
import t from 'tap'
import { succeeded } from '../harness/control.ts'
import { openIssuers } from '../harness/issuers.ts'
import { startMesh } from '../harness/mesh.ts'
import { BROKER_OF_RUN } from '../harness/mosquitto.ts'
import { eventually, run } from '../harness/process.ts'
import { metric } from '../harness/tables.ts'

await using mesh = await startMesh({ services: { argus: ['covina'], covina: [] } })
const { control } = mesh
const argus = mesh.agent('argus')
const covina = mesh.agent('covina')
const argusPem = join(argus.stateFolder, 'identity.pem')
const connect = (...args: string[]) =>
  run('openssl', ['s_client', '-connect', `127.0.0.1:${covina.inboundPort}`, ...args])

await t.test('openssl s_client', async (t) => {
  const own = await connect('-tls1_3', '-cert', argusPem, '-key', argusPem)
  t.match(own.stdout, /Protocol\s*: TLSv1\.3|TLSv1\.3, Cipher is TLS_AES_256_GCM_SHA384/)
  const old = await connect('-tls1_2', '-cert', argusPem, '-key', argusPem)
  t.not(old.code, 0, 'TLS 1.2 is refused')
  const chacha = await connect('-tls1_3', '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256')
  t.not(chacha.code, 0, 'ChaCha20 is not offered')
  const x25519 = await connect('-tls1_3', '-groups', 'X25519')
  t.not(x25519.code, 0, 'X25519 alone is not accepted between agents')
  const alpn = await connect('-tls1_3', '-alpn', 'h2', '-cert', argusPem, '-key', argusPem)
  t.not(alpn.code, 0, 'a protocol that is not spoken ends the handshake')
})

await t.test('a session is never resumed', async (t) => {
  const session = join(mesh.folder, 'session.pem')
  const issuerPem = join(mesh.folder, 'issuer.pem')
  const pem = await readFile(argusPem, 'utf8')
  await writeFile(issuerPem, pem.slice(pem.lastIndexOf('-----BEGIN CERTIFICATE')))
  const input = 'GET /health HTTP/1.1\r\nHost: covina\r\nConnection: close\r\n\r\n'
  // Until the other side closes, so that whatever ticket comes is there to be kept.
  const ask = (...args: string[]) =>
    run(
      'openssl',
      [
        's_client',
        '-connect',
        `127.0.0.1:${covina.inboundPort}`,
        '-tls1_3',
        '-ign_eof',
        '-cert',
        argusPem,
        '-key',
        argusPem,
        '-cert_chain',
        issuerPem,
        ...args,
      ],
      { input },
    )
  const first = await ask('-sess_out', session)
  t.match(first.stdout, /HTTP\/1\.1 200/)
  const again = await ask('-sess_in', session)
  t.match(again.stdout, /HTTP\/1\.1 200/)
  t.match(again.stdout, /^New, TLSv1\.3/m, 'a full handshake')
  t.notMatch(again.stdout, /^Reused/m)
})

await t.test('curl as a foreign client', async (t) => {
  const curl = (...args: string[]) =>
    run('curl', ['-sk', '-w', '\n%{http_code}', ...args, `https://127.0.0.1:${covina.inboundPort}/work`])
  const allowed = await eventually('curl with argus’ certificate is served', async () => {
    const one = await curl('--cert', argusPem, '--key', argusPem)
    return one.stdout.endsWith('200') ? one : undefined
  })
  t.match(allowed.stdout, /svc\/argus/, 'the service learns who called')
  const refused = await curl()
  t.match(refused.stdout, /"code":"certificate_missing"/)
  t.match(refused.stdout, /403$/)
})

await t.test('openssl verify -x509_strict agrees with every certificate of the installation', async (t) => {
  const { items: authorities } = (await control.pkiJson('authorities', 'list')) as {
    items: { ca_id: string; name: string; kind: string }[]
  }
  const { items } = (await control.pkiJson('certificates', 'list', '--all')) as {
    items: { cert_id: string; issuing_ca_id: string; purpose: string }[]
  }
  const chains = new Map<string, string>()
  for (const { ca_id } of authorities) {
    const file = join(mesh.folder, `${ca_id}.pem`)
    succeeded(await control.pki('authorities', 'chain', ca_id, '--output', file))
    chains.set(ca_id, file)
  }
  const roots = join(mesh.folder, 'roots.pem')
  const rootTexts = await Promise.all(
    authorities.filter((one) => one.kind === 'root').map((one) => readFile(chains.get(one.ca_id) ?? '', 'utf8')),
  )
  await writeFile(roots, rootTexts.join(''))
  const api = `https://127.0.0.1:${control.ports.agents}/api/v1/certs/status`
  const seen = new Set<string>()
  for (const { cert_id, issuing_ca_id, purpose } of items) {
    const shown = await run('curl', [
      '-sk',
      '--cert',
      control.adminFile,
      '--key',
      control.adminFile,
      `${api}/${cert_id}`,
    ])
    const { certificate_pem: pem } = JSON.parse(shown.stdout) as { certificate_pem: string }
    const file = join(mesh.folder, 'one.pem')
    await writeFile(file, pem)
    const verified = await run('openssl', [
      'verify',
      '-x509_strict',
      '-CAfile',
      roots,
      '-untrusted',
      chains.get(issuing_ca_id) ?? '',
      file,
    ])
    // A state signer's only usage is ours and critical: OpenSSL knows no purpose for it, and checks none here.
    t.equal(verified.code, 0, `${purpose} ${cert_id.slice(-8)}: ${verified.stdout.trim()}${verified.stderr.trim()}`)
    seen.add(purpose)
  }
  t.same([...seen].toSorted(), ['admin', 'broker', 'ca', 'control', 'ocsp', 'state', 'vcc_service'], 'of every purpose')
})

await t.test('openssl reads names, class, usages and status addresses of a leaf', async (t) => {
  const text = succeeded(await run('openssl', ['x509', '-in', argusPem, '-noout', '-text'])).stdout
  for (const part of [
    /URI:spiffe:\/\/vcc\.internal\/org\/brandenburg\/svc\/argus/,
    /DNS:argus\.vcc\.internal/,
    /Policy: 1\.3\.6\.1\.4\.1\.55555\.2\.1/,
    /TLS Web Server Authentication, TLS Web Client Authentication/,
    /URI:http:\/\/127\.0\.0\.1:\d+\/crl\/[0-9a-f]{32}\/0\.crl/,
    /OCSP - URI:http:\/\/127\.0\.0\.1:\d+\/ocsp/,
    /CA Issuers - URI:http:\/\/127\.0\.0\.1:\d+\/ca\/[0-9a-f]{32}\.cer/,
    /CA:FALSE/,
  ]) {
    t.match(text, part)
  }
})

await t.test('the API over curl: nobody, an agent, an admin', async (t) => {
  const api = (path: string, ...args: string[]) =>
    run('curl', ['-sk', '-w', '\n%{http_code}', ...args, `https://127.0.0.1:${control.ports.agents}/api/v1/${path}`])
  t.match((await api('mesh/root')).stdout, /200$/)
  t.match((await api('vcc/services')).stdout, /client_certificate_required[^]*401$/)
  t.match((await api('vcc/services', '--cert', argusPem, '--key', argusPem)).stdout, /not_allowed[^]*403$/)
  t.match(
    (await api('vcc/services', '--cert', control.adminFile, '--key', control.adminFile)).stdout,
    /"argus"[^]*200$/,
  )
  t.match((await api('mesh/state', '--cert', argusPem, '--key', argusPem)).stdout, /"fleet"[^]*200$/)
  t.match((await api('nothing')).stdout, /route_unknown[^]*404$/)
  t.match(
    (await api('mesh/join', '-d', '{"token":1}', '-H', 'content-type: application/json')).stdout,
    /request_invalid[^]*400$/,
  )
  const openapi = await run('curl', ['-sk', `https://127.0.0.1:${control.ports.ui}/api/v1/openapi.json`])
  t.match(JSON.parse(openapi.stdout), { openapi: '3.1.0' })
  const hidden = await run('curl', [
    '-sk',
    '-w',
    '%{http_code}',
    '-o',
    '/dev/null',
    `https://127.0.0.1:${control.ports.ui}/api/v1/mesh/root`,
  ])
  t.equal(hidden.stdout, '404', 'the public port has health and the contract only')
})

await t.test('what a stolen key of the Admin CA signs is nobody, whatever serial it takes', async (t) => {
  const [real] = decodePem(pemFrom(await readFile(control.adminFile, 'utf8')), 'CERTIFICATE').map(decodeCertificate)
  if (real === undefined) throw new Error('the admin has no certificate')
  const { admin } = await openIssuers(control)
  const saysTheSame = {
    commonName: nameValues(real.subject, OID.commonName)[0] ?? '',
    uris: [uriIdentityOf(real)],
    dnsNames: [],
    policies: [],
    extKeyUsage: [OID.clientAuth],
  }
  for (const [name, serial] of [
    ['a serial of its own', {}],
    ['the serial of the real one', { serialHex: real.serialHex }],
  ] as const) {
    const forged = await admin.leaf({ ...saysTheSame, ...serial })
    const file = join(mesh.folder, 'forged.pem')
    await writeFile(file, forged.keyPem + forged.chainPem, { mode: 0o600 })
    const url = `https://127.0.0.1:${control.ports.agents}/api/v1/vcc/services`
    const answer = await run('curl', ['-sk', '-w', '\n%{http_code}', '--cert', file, '--key', file, url])
    t.match(
      answer.stdout,
      /(?:no certificate of this serial was issued|not the certificate that was issued)[^]*401$/,
      name,
    )
  }
})

// The embedded broker refuses; Mosquitto confirms and drops. What counts is that nobody hears it.
await t.test('mosquitto’s clients with an agent’s certificate', async (t) => {
  const confirms = BROKER_OF_RUN === 'mosquitto'
  const heard = async () => [
    metric(
      await (await fetch(`http://127.0.0.1:${control.ports.metrics}/metrics`)).text(),
      'vcc_messages_refused_total',
    ),
    metric(await covina.metrics(), 'vcc_agent_state_refused_total'),
  ]
  const before = await heard()
  const root = join(argus.stateFolder, 'mesh-root.pem')
  const instance = ((await covina.status()) as { identity: { instance: string } }).identity.instance
  const common = [
    '-h',
    '127.0.0.1',
    '-p',
    String(control.ports.broker),
    '--cafile',
    root,
    '--cert',
    argusPem,
    '--key',
    argusPem,
    '--insecure',
    '-V',
    'mqttv311',
  ]
  const own = ((await argus.status()) as { identity: { instance: string } }).identity.instance
  const foreignId = await run('mosquitto_pub', [
    ...common,
    '-i',
    instance,
    '-t',
    `a/${instance}/up/status`,
    '-m',
    'x',
    '-q',
    '1',
  ])
  t.equal(foreignId.code === 0, confirms, 'another client id than the certificate’s')
  const foreignTopic = await run('timeout', [
    '10',
    'mosquitto_pub',
    ...common,
    '-i',
    own,
    '-t',
    `a/${instance}/down/state`,
    '-m',
    'x',
    '-q',
    '1',
  ])
  t.equal(foreignTopic.code === 0, confirms, 'another agent’s topic')
  const listened = await run('timeout', [
    '4',
    'mosquitto_sub',
    ...common,
    '-i',
    own,
    '-t',
    `a/${instance}/down/state`,
    '-W',
    '3',
  ])
  t.equal(listened.stdout, '', 'another agent’s state cannot be read')
  t.same(await heard(), before, 'nor can anything be said for it')
  await eventually('argus’ agent is connected again', async () => {
    const { control_plane: seen } = (await argus.status()) as { control_plane: { broker: string } }
    return seen.broker === 'connected'
  })
})

/** From its first certificate on; the key before it is left out. */
function pemFrom(text: string): string {
  return text.slice(text.indexOf('-----BEGIN CERTIFICATE'))
}
