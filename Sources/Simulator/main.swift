import Simulation

var options = WorldOptions()
options.seed = 1
options.isTracing = true
let world = World(options)
world.attach()
let ready = world.run(limit: 5_000_000_000) { world.isReady && world.pathsUp == 2 }
print("ready", ready, world.elapsed / 1000, "us")
world.client.load(count: 200)
let done = world.run(limit: 20_000_000_000) { world.client.isIdle }
print("done", done, world.client.answered, world.elapsed / 1000)
world.run(limit: 1_000_000_000)
world.checkAtRest()
print(world.failure ?? "fine", world.chronicle.hash)
if world.failure != nil || !done { print(world.chronicle.lines.suffix(60).joined(separator: "\n")) }
