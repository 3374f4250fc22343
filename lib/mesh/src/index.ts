export {
  type Acceptance,
  type AgentAcceptance,
  acceptAgent,
  acceptDelta,
  acceptFleet,
  acceptRefresh,
} from './accept.ts'
export {
  type AgentContent,
  type ExternalTls,
  MAX_UPSTREAMS,
  parseAgentContent,
  type Upstream,
} from './agent-content.ts'
export {
  type AckBody,
  type RenewBody,
  ReplyBody,
  type StatusBody,
  UP_BODIES,
  type UpBody,
  type UpKind,
} from './bodies.ts'
export { brokerAddress } from './broker-url.ts'
export { canonicalJson, contentHash } from './canonical.ts'
export { CLOCK_TOLERANCE_SECONDS, type ClockReading, clockReading, raisedFloor } from './clock.ts'
export {
  type ClientCredentials,
  clientContext,
  connectPeer,
  type ExpectedPeer,
  type PeerAddress,
} from './control-peer.ts'
export { type FleetDelta, fleetDelta } from './deltas.ts'
export {
  type DenialEntry,
  type Denied,
  type DeniedChange,
  type DeniedSubject,
  deniedOf,
  isDenied,
  mergeDenied,
  NOTHING_DENIED,
  type Release,
} from './denials.ts'
export {
  type AgentDocument,
  agentDocument,
  type FleetDocument,
  fleetDocument,
  type Refresh,
  type RefreshTarget,
  refreshOf,
  type Signed,
  STATE_FORMATS,
  type StateDocument,
  type StateInput,
  type StateKind,
} from './documents.ts'
export {
  type EnvelopeContext,
  type EnvelopeInput,
  MAX_ENVELOPE_SECONDS,
  type Sender,
  signEnvelope,
  type UpEnvelope,
  type VerifiedEnvelope,
  verifyEnvelope,
} from './envelopes.ts'
export { MESH_FAILURES, MeshError, type MeshFailure } from './errors.ts'
export { type FleetContent, type IssuerEntry, parseFleetContent, sortedFleetContent } from './fleet-content.ts'
export { type Enforcement, enforcement, type Held, type HeldAgent, type HeldFleet, isYoungerThan } from './held.ts'
export { decodeHeldAgent, decodeHeldFleet, encodeHeld, type Stored, trustOfStoredFleet } from './held-file.ts'
export { readThroughStream } from './http-over-tls.ts'
export { instantOf, isInstant, isoSeconds } from './instant.ts'
export { type JwsSigner, type JwsType, jwsSigner, verifyJws } from './jws.ts'
export type { Lifetimes } from './lifetimes.ts'
export { limitPackets } from './packet-limit.ts'
export { peerDispatcher, unverifiedDispatcher } from './peer-dispatcher.ts'
export { ReplayWindow } from './replay.ts'
export { type Reply, type ReplyTarget, signReply, verifyReply } from './replies.ts'
export { MESH_TLS } from './tls.ts'
export {
  CONTROL_CLIENT_ID,
  CONTROL_FILTERS,
  FLEET_TOPICS,
  INLINE_DOCUMENT_BYTES,
  type InstanceTopics,
  instanceTopics,
  isInstanceId,
  mayPublish,
  maySubscribe,
  parseTopic,
  type Topic,
} from './topics.ts'
export {
  isStateSigner,
  replacedTrust,
  signTrustStatement,
  stateSigningEku,
  TrustStatement,
  verifyTrustStatement,
} from './trust.ts'
