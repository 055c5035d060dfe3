/** CPU time of one awaited call, in nanoseconds. */
export async function nanosPerCall (subject: (n: number) => unknown, calls: number): Promise<number> {
  const startedAt = process.cpuUsage()
  for (let n = 0; n < calls; n++) await subject(n)
  const { user, system } = process.cpuUsage(startedAt)
  return (user + system) * 1000 / calls
}
