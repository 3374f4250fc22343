import type { PolicyInputs } from '@vcc/x509'

/** One sub-test of a PKITS policy test: its inputs beside the default ones, and whether the path is to be validated. */
export interface SubTest {
  readonly inputs: PolicyInputs
  readonly expected: 'accept' | 'reject'
}

/** NIST-test-policy-1 to -10 are the arcs 1 to 10 below this. */
const POLICY_ARC = '2.16.840.1.101.3.2.1.48'

/**
 * The sub-tests of NIST's "Public Key Interoperability Test Suite (PKITS)", §4.8 to §4.12, by end-entity certificate: those
 * that are not a single validation with the default inputs whose result the file name states.
 */
export const SUB_TESTS: Readonly<Record<string, readonly SubTest[]>> = {
  // §4.1.1, and §4.8.1 All Certificates Same Policy Test1
  ValidCertificatePathTest1EE: [
    accept(),
    accept({ requireExplicitPolicy: true }),
    accept({ requireExplicitPolicy: true, ...policies(1) }),
    reject({ requireExplicitPolicy: true, ...policies(2) }),
    accept({ requireExplicitPolicy: true, ...policies(1, 2) }),
  ],
  // §4.8.2
  AllCertificatesNoPoliciesTest2EE: [accept(), reject({ requireExplicitPolicy: true })],
  // §4.8.3
  DifferentPoliciesTest3EE: [
    accept(),
    reject({ requireExplicitPolicy: true }),
    reject({ requireExplicitPolicy: true, ...policies(1, 2) }),
  ],
  // §4.8.4, §4.8.5
  DifferentPoliciesTest4EE: [reject()],
  DifferentPoliciesTest5EE: [reject()],
  // §4.8.6
  OverlappingPoliciesTest6EE: [accept(), accept(policies(1)), reject(policies(2))],
  // §4.8.7 to §4.8.9
  DifferentPoliciesTest7EE: [reject()],
  DifferentPoliciesTest8EE: [reject()],
  DifferentPoliciesTest9EE: [reject()],
  // §4.8.10
  AllCertificatesSamePoliciesTest10EE: [accept(), accept(policies(1)), accept(policies(2))],
  // §4.8.11
  AllCertificatesanyPolicyTest11EE: [accept(), accept(policies(1))],
  // §4.8.12
  DifferentPoliciesTest12EE: [reject()],
  // §4.8.13
  AllCertificatesSamePoliciesTest13EE: [accept(policies(1)), accept(policies(2)), accept(policies(3))],
  // §4.8.14
  AnyPolicyTest14EE: [accept(policies(1)), reject(policies(2))],
  // §4.8.15 to §4.8.20: the qualifiers are for people to read
  UserNoticeQualifierTest15EE: [accept()],
  UserNoticeQualifierTest16EE: [accept()],
  UserNoticeQualifierTest17EE: [accept()],
  UserNoticeQualifierTest18EE: [accept(policies(1)), accept(policies(2))],
  UserNoticeQualifierTest19EE: [accept()],
  CPSPointerQualifierTest20EE: [accept({ requireExplicitPolicy: true, ...policies(1) })],
  // §4.10.1 to §4.10.3
  ValidPolicyMappingTest1EE: [accept(policies(1)), reject(policies(2)), reject({ inhibitPolicyMapping: true })],
  InvalidPolicyMappingTest2EE: [reject(), reject({ inhibitPolicyMapping: true })],
  ValidPolicyMappingTest3EE: [reject(policies(1)), accept(policies(2))],
  // §4.10.5, §4.10.6
  ValidPolicyMappingTest5EE: [accept(policies(1)), reject(policies(6))],
  ValidPolicyMappingTest6EE: [accept(policies(1)), reject(policies(6))],
  // §4.10.12
  ValidPolicyMappingTest12EE: [accept(policies(1)), accept(policies(2))],
  // §4.12.3
  inhibitAnyPolicyTest3EE: [accept(), reject({ inhibitAnyPolicy: true })],
}

function accept(inputs: PolicyInputs = {}): SubTest {
  return { inputs, expected: 'accept' }
}

function reject(inputs: PolicyInputs = {}): SubTest {
  return { inputs, expected: 'reject' }
}

function policies(...numbers: number[]): PolicyInputs {
  return { acceptable: numbers.map((n) => `${POLICY_ARC}.${n}`) }
}
