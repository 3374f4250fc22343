export { Command, Option } from 'commander'
export { type Child, type ServeChannel, startChild } from './child.ts'
export { ask, type Confirmation, confirm } from './cli/confirm.ts'
export { CliError, EXIT, type ExitName } from './cli/exit.ts'
export { showProgress } from './cli/progress.ts'
export { FORMATS, type Format, printResult, withFormat } from './cli/result.ts'
export { createProgram, formatCliError, type RunCliOptions, runCli } from './cli/run.ts'
export { type Column, formatTable, printable } from './cli/text.ts'
export { type Clock, formatMicroseconds, now, nowMicroseconds, systemClock, wholeSecond } from './clock.ts'
export { type ConfigOptions, parseYamlConfig, readYamlConfig } from './config/config.ts'
export type { EnvironmentTable } from './config/environment.ts'
export { ConfigError, type ConfigProblem, didYouMean } from './config/problem.ts'
export { configReference } from './config/reference.ts'
export { CLOSED, type Config, type ConfigShape, DurationField, SecretFileField } from './config/shape.ts'
export { type Duration, formatDuration, parseDuration } from './duration.ts'
export { errorCode, RUNTIME_FAILURES, RuntimeError, type RuntimeFailure } from './error.ts'
export { defineEvents, type EventKind, type Events, type EventTable, event } from './events.ts'
export {
  ensureFolder,
  readFileBounded,
  removeFile,
  removeTemporaries,
  syncFolder,
  writeFileAtomic,
} from './file.ts'
export {
  type Environment,
  environment,
  exitCode,
  isTerminal,
  nodeCommand,
  processId,
  programArguments,
  readStdin,
  residentBytes,
  setExitCode,
  userId,
  workingFolder,
  writeErr,
  writeOut,
} from './host.ts'
export { runService, type ServiceContext, ServiceStopping } from './lifecycle.ts'
export {
  createLogger,
  describeError,
  LOG_LEVELS,
  type Log,
  type LogFields,
  type LogLevel,
  type LogValue,
  silentLog,
} from './log.ts'
export {
  type CounterMetric,
  createMetrics,
  type GaugeMetric,
  type HistogramMetric,
  type Labels,
  type MetricKind,
  type Metrics,
  type MetricTable,
} from './metrics.ts'
export { assertNodeVersion } from './node-version.ts'
export { notifySystemd } from './notify.ts'
export { createSchedule, every, type Job, type JobOutcome, type Schedule, type ScheduledJob } from './schedule.ts'
export { readKeyFile, readSecretFile, readSecretText } from './secret-file.ts'
export { type BackoffOptions, backoffMs, retryWithBackoff, sleep, withDeadline, withJitter } from './wait.ts'
