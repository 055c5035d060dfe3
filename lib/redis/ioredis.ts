import { Cluster, Redis } from 'ioredis'

/*
 * ioredis derives a class from String, which it hardly ever uses. V8 turns what becomes a prototype into a dictionary,
 * and makes it fast again only when a method has been looked up through a derived object a few times. Until then every
 * method call on any string of the process is a lookup in that dictionary, which makes hashing a key five times as dear.
 * A web server happens to come past such objects with its first hundred requests; other programs may never do.
 */
for (let lookup = 0; lookup < 100; lookup++) (Object('') as string).charCodeAt(0)

export { Cluster, Redis }
