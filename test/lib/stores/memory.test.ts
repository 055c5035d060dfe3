import t, { type Test } from 'tap'
import { createLocalLog } from '../../../lib/invalidation/local-log.ts'
import { MemoryCache } from '../../../lib/stores/memory.ts'
import { storeContract } from '../../support/store-contract.ts'

const POLICIES = ['lru', 'lfu', 'fifo', 's3-fifo', 'w-tinylfu'] as const

for (const evictionPolicy of POLICIES) {
  storeContract(t as Test, `MemoryCache with ${evictionPolicy}`, ({ clock, maxEntryBytes }) => {
    const log = createLocalLog({ clock })
    const store = new MemoryCache({ log, clock, evictionPolicy, maxEntries: 1000, maxEntryBytes })
    return { store, log, close: () => { store.close() } }
  })
}
