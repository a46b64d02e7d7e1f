// Registries: an image there as a source and a sink, and who we are to them.
export { type RegistrySource, registrySource } from "./source.ts";
export { type RegistrySink, registrySink, type SinkOptions } from "./sink.ts";
export { login, logout } from "./login.ts";
export { type CredentialOptions, type Credentials, findCredentials } from "./credentials.ts";
export type { RegistryOptions } from "./options.ts";
