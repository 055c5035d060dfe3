export { fakeClock, type FakeClock } from '../../lib/ports/contract/fake-clock.ts'
