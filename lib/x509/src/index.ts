export type { SignatureAlgorithmName, TbsSigner } from './algorithm.ts'
export { encodeAlgorithm, nodeSignatureOptions, signingAlgorithmFor, verifySignature } from './algorithm.ts'
export type { Certificate, ForeignCertificate, TbsCertificate } from './certificate.ts'
export {
  decodeCertificate,
  decodeForeignCertificate,
  decodeTbsCertificate,
  MAX_CERTIFICATE_OCTETS,
} from './certificate.ts'
export { decodeCrl } from './crl/decode.ts'
export { type CrlEntry, type CrlFields, encodeTbsCrl } from './crl/encode.ts'
export type { Csr, VerifiedCsr } from './csr.ts'
export { assertKeyOnlyCsr, buildCsr, verifyCsr } from './csr.ts'
export { oid } from './der/oid.ts'
export * as der from './der/writer.ts'
export { isDnsName } from './dns-name.ts'
export type { CurveName } from './ec-point.ts'
export type { TbsFields } from './encode-certificate.ts'
export { encodeSigned, encodeTbsFields } from './encode-certificate.ts'
export type { TlsAlert, X509Failure } from './errors.ts'
export { X509_FAILURES, X509Error } from './errors.ts'
export * as extension from './extension/encode.ts'
export type {
  AccessDescription,
  AuthorityKeyId,
  BasicConstraints,
  DistributionPoint,
  ExtensionName,
  Extensions,
  KeyUsage,
  NameConstraints,
  PolicyConstraints,
  PolicyInformation,
  RawExtension,
} from './extension/model.ts'
export type { ForeignAlgorithm, ForeignKeyKind } from './foreign-key.ts'
export { decodeForeignKey, verifyForeignSignature } from './foreign-key.ts'
export type { GeneralName, GeneralNameType } from './general-name.ts'
export { uriIdentityOf } from './identity.ts'
export { LINT_RULES, lintTbs } from './lint/lint.ts'
export type { LintCode, LintFacts, LintRule } from './lint/rule.ts'
export type { AttributeType, Name, NameAttribute } from './name.ts'
export { encodeName, formatName, nameValues, sameName } from './name.ts'
export type { CertId, CertIdHash, CertIdIssuer } from './ocsp/cert-id.ts'
export { encodeCertId, issuerHashes } from './ocsp/cert-id.ts'
export type { OcspResponder, OcspResponseFields, OcspSingle } from './ocsp/encode-response.ts'
export {
  assembleOcspResponse,
  encodeOcspError,
  encodeOcspResponseData,
  ocspResponder,
} from './ocsp/encode-response.ts'
export type { OcspRequest, OcspRequestSignature } from './ocsp/request.ts'
export { decodeOcspRequest, encodeOcspRequest, MAX_OCSP_CERT_IDS, MAX_OCSP_REQUEST_OCTETS } from './ocsp/request.ts'
export type { OcspErrorStatus, OcspResponseStatus, OcspRevoked, OcspStatus } from './ocsp/status.ts'
export type { VerifiedRequestor } from './ocsp/verify-requestor.ts'
export { verifyOcspRequestor } from './ocsp/verify-requestor.ts'
export type { OcspVerifyOptions, VerifiedOcspResponse } from './ocsp/verify-response.ts'
export { verifyOcspResponse } from './ocsp/verify-response.ts'
export { classOid, DEFAULT_OID_ARC, ekuOid, OID, OUR_EKU } from './oid.ts'
export { assertedClass } from './path/class.ts'
export type { FindOptions } from './path/find.ts'
export { findPath } from './path/find.ts'
export { assertNamesPermitted } from './path/name-constraints.ts'
export type { PeerName } from './path/peer-name.ts'
export type { PolicyInputs } from './path/policy.ts'
export type { PathProfileName } from './path/profile.ts'
export type { PathOptions, VerifiedPath } from './path/validate.ts'
export { MAX_CHAIN, validateChain } from './path/validate.ts'
export { decodePem, encodePem } from './pem.ts'
export type { ExtKeyUsageName, Profile, ProfileName } from './profile/table.ts'
export { extKeyUsageOid, PROFILES } from './profile/table.ts'
export type { Issuer, MeshNameConstraints, Tbs, TbsInput } from './profile/tbs.ts'
export { assembleCertificate, buildTbs, issuerOf, meshNameConstraints } from './profile/tbs.ts'
export type { KeyKind, PublicKey } from './public-key.ts'
export { decodePublicKey, publicKeyOf } from './public-key.ts'
export type { RevocationReason } from './revocation-reason.ts'
