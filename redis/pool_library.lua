-- The functions of the {pool} slot that workers call (redis/README.md).
-- revision 62
-- allow-oom: functions that free memory must run when Redis is full, and so must those that they need: a partition's begin, the skip of an event,
-- and heartbeats, without which all hosts would count as dead and the names of workers as free.
frame.register_slot('')
delivery.register('')
delivery.register_topic('acquire', pool.acquire)
delivery.register_topic('release', pool.release, {'allow-oom'})
delivery.register_topic('usage', pool.usage)
delivery.register_topic('control', {apply = pool.control})
delivery.register_topic('event', {apply = pool.event}, {'allow-oom'})
frame.register('replay', function(keys, args) return delivery.replay(keys, args, {}) end, {'no-writes', 'allow-oom'})
frame.register('beat', pool.beat, {'allow-oom'})
frame.register('ended', pool.ended, {'allow-oom'})
frame.register('hold', pool.hold, {'allow-oom'})
frame.register('desired', pool.desired, {'no-writes'})
frame.register('owned', pool.owned, {'no-writes'})
frame.register('left', pool.left, {'no-writes'})
frame.register('recover', pool.recover, {'allow-oom'})
frame.register('recovered', pool.recovered, {'no-writes'})
frame.register('due', pool.due, {'no-writes'})
frame.register('sweep', pool.sweep, {'allow-oom'})
