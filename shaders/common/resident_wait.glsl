// The barrier of all workgroups, in two halves. What was written before arrive() to memory that is shared past the caches
// is seen by all after everyone(). One invocation speaks for its workgroup: the last subgroup's first, for that subgroup
// has the fewest weights to wait for, or none.
bool speaks()
{
    return subgroup == SUBGROUPS - 1u && subgroupElect();
}

void workgroup_barrier()
{
    controlBarrier(gl_ScopeWorkgroup, gl_ScopeWorkgroup, gl_StorageSemanticsBuffer | gl_StorageSemanticsShared,
        gl_SemanticsAcquireRelease);
}

void arrive()
{
    workgroup_barrier();
    if (speaks())
        atomicAdd(sync[push.counter], 1u, gl_ScopeDevice, gl_StorageSemanticsBuffer, gl_SemanticsRelease);
}

// False when a workgroup gave up waiting: leave at once.
bool everyone(uint target)
{
    if (speaks()) {
        uint seen = 0u;
        for (uint polls = 0u; seen < target && polls < push.max_polls; polls++)
            seen = atomicLoad(sync[push.counter], gl_ScopeDevice, gl_StorageSemanticsBuffer, gl_SemanticsAcquire);
        if (seen < target) {
            atomicOr(sync[0], 1u, gl_ScopeDevice, 0, gl_SemanticsRelaxed);
            atomicMax(sync[push.counter], GSA_RESIDENT_GIVEN_UP, gl_ScopeDevice, 0, gl_SemanticsRelaxed);
            seen = GSA_RESIDENT_GIVEN_UP;
        }
        arrived = seen;
    }
    workgroup_barrier();
    return arrived < GSA_RESIDENT_GIVEN_UP;
}
