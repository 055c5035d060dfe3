export const USAGE = `Usage: fastify-response-cache <command> [options]

Asks and tells the cache of a running app, through its routes.

Commands
  stats                     figures since the start
  top                       the hottest keys, the busiest routes and namespaces
  report                    what happens, what is wrong, what would make it better
  entries [pattern]         what is stored, such as 'product:*'
  explain <path>            what would become of a request, and why
  invalidate                purge what --key, --tag, --pattern, --path or --everything name
  flush                     purge everything
  warm <path...>            fetch paths of the app into the cache

Options
  --url <url>               where the app is                     [http://127.0.0.1:3000]
  --prefix <path>           where the routes of the cache live   [/cache]
  --token <token>           the bearer token; better in the variable CACHE_ADMIN_TOKEN, which nobody else sees
  --timeout <seconds>       how long to wait for an answer       [10]
  --json                    print what the server says, for programs
  --help, --version

entries
  --limit <number>          entries to list                      [100]

invalidate
  --key, --tag, --pattern, --path <name>    each as often as needed
  --everything
  --soft                    make stale instead of gone
  --dry-run                 tell what it would touch, and touch nothing

warm
  --file <file>             more paths, one a line; - is the standard input
  --learned                 instead of paths: what was asked for most
  --time-budget <seconds>   of --learned                         [10]
  --host <host>, --https    how clients ask for the paths        [as --url does]
  --concurrency <number>    requests at the same time            [4]
  --detach                  print the id and do not wait
  --list                    the warmings that run, and the last that ended
  --watch <id>, --cancel <id>

Exit codes: 0 done, 1 the server said no or could not be reached, 2 the command makes no sense.`
