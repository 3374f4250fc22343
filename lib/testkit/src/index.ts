export { type FakeClock, fakeClock } from './clock.ts'
export {
  credential,
  issueLeaf,
  type LeafSpec,
  secondsAfter,
  type TestCredential,
  testSerialHex,
} from './credential.ts'
export { type TestSigner, testSigner } from './key.ts'
export { ocspResponder } from './ocsp-responder.ts'
export { type ServiceOptions, type TestPki, type TestPkiOptions, testInstance, testPki } from './pki.ts'
export { freePort, freePorts } from './port.ts'
export { ACCEPTED, REFUSED } from './refused/refused.ts'
export { hasSoftHsm, type SoftHsmToken, softHsmToken } from './softhsm.ts'
export { WRONG_LEAVES, type WrongLeaf, wrongLeaf } from './wrong-leaf.ts'
