import type { ServiceRegistration } from '@vcc/api'
import { encodePem } from '@vcc/x509'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestInstallation, testInstallation } from '../testing/installation.ts'
import { registerService } from './services.ts'

let place: TestInstallation
beforeAll(async () => {
  place = await testInstallation()
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
})

const register = (registration: ServiceRegistration) => registerService(registration, place.context, place.registry)
const root = () => encodePem('CERTIFICATE', place.authorities.root('mesh-root').certificate.der)
const external = (change: Partial<ServiceRegistration>): ServiceRegistration => ({
  service_name: 'pg_database',
  kind: 'external',
  address: 'db.example.org:5432',
  trust: { kind: 'pin', spkiSha256: '0'.repeat(64) },
  ...change,
})

describe('a registration', () => {
  const refused: readonly { name: string; of: () => ServiceRegistration; code: string }[] = [
    { name: 'of a name that is none', of: () => ({ service_name: 'Ar gus' }), code: 'service_name_invalid' },
    { name: 'of a name that is taken', of: () => ({ service_name: 'argus' }), code: 'service_exists' },
    {
      name: 'of a network that is none',
      of: () => ({ service_name: 'a', allowed_networks: ['10.0.0.0/33'] }),
      code: 'service_invalid',
    },
    {
      name: 'of a mesh service with an address',
      of: () => ({ service_name: 'a', address: '127.0.0.1:1' }),
      code: 'service_invalid',
    },
    {
      name: 'of an external one without address',
      of: () => ({ service_name: 'a', kind: 'external', trust: { kind: 'plain' } }),
      code: 'service_invalid',
    },
    {
      name: 'without TLS beyond loopback',
      of: () => external({ trust: { kind: 'plain' } }),
      code: 'service_invalid',
    },
    {
      name: 'with a CA that is no certificate',
      of: () => external({ trust: { kind: 'ca', caPem: 'not PEM', dnsName: 'db.example.org' } }),
      code: 'service_invalid',
    },
    {
      name: 'with nine CAs',
      of: () => external({ trust: { kind: 'ca', caPem: root().repeat(9), dnsName: 'db.example.org' } }),
      code: 'service_invalid',
    },
    {
      name: 'with a DNS name that signed state would refuse',
      of: () => external({ trust: { kind: 'ca', caPem: root(), dnsName: 'db..example' } }),
      code: 'service_invalid',
    },
  ]
  for (const { name, of, code } of refused) {
    test(`${name} is ${code}`, async () => {
      await expect(register(of())).rejects.toMatchObject({ code })
    })
  }

  test('of an external service is kept with its address and trust', async () => {
    const row = await register(external({ trust: { kind: 'ca', caPem: root(), dnsName: 'db.example.org' } }))
    expect(row).toMatchObject({ service_name: 'pg-database', kind: 'external', status: 'active' })
    expect(JSON.parse(row.external_trust ?? '')).toMatchObject({ host: 'db.example.org', port: 5432 })
  })
})
