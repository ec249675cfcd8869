// Groups beyond the device's limit per dimension are folded into y; the last row of groups may be partly surplus.
// Include after the local size is declared: before, gl_WorkGroupSize silently counts as 1.
uint grid_group()
{
    return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
}

// A macro, because before the group's size is declared compilers take gl_WorkGroupSize for 1 without a word.
#define grid_thread() (grid_group() * gl_WorkGroupSize.x + gl_LocalInvocationIndex)
