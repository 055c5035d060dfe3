/** A name that ends so is that of a secret: `access_token`, `resetToken`, `api-key`, `pwd`. */
const SECRET = /(?:^| )(?:token|jwt|secret|password|passwd|pwd|passphrase|api ?key|(?:secret|private|access) key|auth|credentials?|otp|sid|session id|sessid)$/

/** Tokens that say where a list goes on, or what was asked for, open nothing. */
const HARMLESS = /(?:^| )(?:page|next|prev|previous|continue|continuation|cursor|sync|start|scroll|resume|search|csrf|xsrf) token$/

/** Whether a parameter of a URL is probably a secret, going by its name. */
export function namesSecret (name: string): boolean {
  const words = name.replaceAll(/(?<=[a-z\d])(?=[A-Z])|[_.-]+/g, ' ').toLowerCase().trim()
  return SECRET.test(words) && !HARMLESS.test(words)
}
