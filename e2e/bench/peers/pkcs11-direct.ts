/**
 * The shortest way to a signature in a token: pkcs11js in this process, one session, one call after the other, its
 * event loop held up meanwhile. Arguments: module, label and PIN of a token, and how many. Prints µs each.
 */
import pkcs11js from 'pkcs11js'

const [path = '', label = '', pin = '', count = '0'] = process.argv.slice(2)
const module = new pkcs11js.PKCS11()
module.load(path)
module.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK })
const slot = module.C_GetSlotList(true).find((each) => module.C_GetTokenInfo(each).label.trim() === label)
if (slot === undefined) throw new Error(`there is no token ${label}`)
const session = module.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION)
module.C_Login(session, pkcs11js.CKU_USER, pin)
const { privateKey } = module.C_GenerateKeyPair(
  session,
  { mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN },
  [{ type: pkcs11js.CKA_EC_PARAMS, value: Buffer.from('06082a8648ce3d030107', 'hex') }],
  [
    { type: pkcs11js.CKA_SIGN, value: true },
    { type: pkcs11js.CKA_SENSITIVE, value: true },
    { type: pkcs11js.CKA_EXTRACTABLE, value: false },
  ],
)
const sign = (digest: Buffer) => {
  module.C_SignInit(session, { mechanism: pkcs11js.CKM_ECDSA }, privateKey)
  return module.C_Sign(session, digest, Buffer.alloc(64))
}
for (let at = 0; at < Number(count) / 10; at++) sign(Buffer.alloc(32, at))
const began = performance.now()
for (let at = 0; at < Number(count); at++) sign(Buffer.alloc(32, at))
process.stdout.write(`${((performance.now() - began) * 1000) / Number(count)}\n`)
module.C_Finalize()
