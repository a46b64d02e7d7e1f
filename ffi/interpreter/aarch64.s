# The interpreter of programs, arm64. Steps and header: see x86_64.s.
#
# The kernel preserves every register but x0, so the step's address lives in x9, the header's in x10,
# argv in x12 and envp in x13, which a C caller does not expect back; the stack is not touched.

        .text
        .globl  elf_entry, patch_steps, patch_header, call_entry, interpreter_end
        .globl  signal_entry, signal_return, patch_counter

elf_entry:                              // where execve arrives; the encoder fills in two addresses
        ldr     w0, .Lsteps             // by local names: a global one would wait for a linker
        ldr     w1, .Lheader
        ldr     x11, [sp]               // argc, then argv and its null, then envp
        add     x12, sp, #8
        add     x13, x12, x11, lsl #3
        add     x13, x13, #8

call_entry:                             // int (*)(const step *first, header *), the C convention
        mov     x9, x0
        mov     x10, x1

step:
        ldr     w11, [x9, #4]
        ldp     x0, x1, [x9, #32]
        ldp     x2, x3, [x9, #48]
        ldp     x4, x5, [x9, #64]
        tbz     w11, #0, 1f
        ldrsw   x0, [x0]
1:      tbz     w11, #1, 2f
        ldrsw   x1, [x1]
2:      tbz     w11, #2, 3f
        ldrsw   x2, [x2]
3:      tbz     w11, #3, 4f
        ldrsw   x3, [x3]
4:      tbz     w11, #4, 5f
        ldrsw   x4, [x4]
5:      tbz     w11, #5, 6f
        ldrsw   x5, [x5]
6:      tbz     w11, #6, 7f
        add     x1, x1, x12
7:      tbz     w11, #7, 8f
        add     x2, x2, x12
8:      tbz     w11, #8, 8f
        add     x2, x2, x13
8:      tbz     w11, #9, 9f
        ldr     x14, [x12]
        add     x1, x1, x14
9:      ldrsw   x8, [x9]
        tbnz    w8, #31, inner
        svc     #0

store:
        str     x0, [x10, #24]
        ldr     x11, [x9, #8]
        cbz     x11, 1f
        str     w0, [x11]
1:      cmp     x0, #0
        b.lt    negative
        b.eq    2f
        ldrsw   x11, [x9, #24]
        b       go
2:      ldrsw   x11, [x9, #20]
        b       go
negative:
        ldrsw   x11, [x9, #16]
        tbnz    w11, #0, fail
go:
        add     x9, x9, x11
        b       step

fail:
        str     x9, [x10]
        str     x0, [x10, #8]
        ldr     x9, [x10, #16]
        b       step

inner:
        cmn     w8, #1
        b.ne    rare
        sub     x0, x0, x1              // compute: (argument 0 - argument 1) & argument 2
        and     x0, x0, x2
        b       store

rare:
        cmn     w8, #2
        b.eq    return
1:      ldrb    w8, [x0], #1            // compare: are the bytes at arguments 0 and 1 the same, as many as
        ldrb    w11, [x1], #1           // argument 2 says, and not none? 0, else 1
        subs    w2, w2, #1
        ccmp    w8, w11, #0, ne
        b.eq    1b
        cmp     w8, w11
        cset    x0, ne
        b       store

return:
        mov     w0, wzr
        ret

patch_steps:
.Lsteps:
        .word   0
patch_header:
.Lheader:
        .word   0

interpreter_end:

// A signal handler for the host process: see x86_64.s. The kernel brings its own way back.

signal_entry:                           // void (*)(int, siginfo_t *, ucontext_t *)
        mov     x9, #-1
        str     x9, [x2, #40]           // uc_sigmask
        ldr     x10, .Lcounter
again:
        ldaxr   w11, [x10]
        add     w11, w11, #1
        stlxr   w12, w11, [x10]
        cbnz    w12, again
        ret

signal_return:
        mov     x8, #139                // rt_sigreturn
        svc     #0

        .balign 8
patch_counter:
.Lcounter:
        .quad   0
