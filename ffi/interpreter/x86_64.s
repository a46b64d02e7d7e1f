# The interpreter of programs, x86-64. `deno task assemble` assembles it into bytes.ts.
#
# It walks a list of steps of 80 bytes each (see ../program/encode.ts):
#
#    0  i32 nr          system call number; -1: compute; -2: return to the caller; -3: compare
#    4  u32 mask        bit i: argument i is the 32-bit value *at* the given address;
#                       bit 6: argument 1, bit 7: argument 2 counts from the process's own argv,
#                       bit 8: argument 2 counts from its own envp, bit 9: argument 1 from the first of
#                       its own words, in an ELF file of its own
#    8  u64 result      where the low 32 bits of the result go; 0: nowhere
#   16  i32 on[3]       how far on when the result is negative, zero, positive;
#                       a distance of 1 for negative: the step has failed
#   28  u32 (unused)
#   32  u64 argument[6]
#
# and keeps a header in the data:
#
#    0  u64 failed      the address of the step that failed
#    8  i64 error       and its result, the kernel's -errno
#   16  u64 handler     the step to go on with after a failure
#   24  i64 last        the latest result, in full
#
# The kernel preserves every register but rax, rcx and r11, so the step's address lives in rbx, the
# header's in rbp, argv in r12 and envp in r13. Nothing is pushed once the walk has begun: a child
# made by clone(CLONE_VM) may share the stack.

        .intel_syntax noprefix
        .text
        .globl  elf_entry, patch_steps, patch_header, call_entry, interpreter_end
        .globl  signal_entry, signal_return, patch_counter

elf_entry:                              # where execve arrives; the encoder fills in two addresses
        .byte   0xbf                    # mov edi, imm32
patch_steps:
        .long   0
        .byte   0xbe                    # mov esi, imm32
patch_header:
        .long   0
        mov     rax, [rsp]              # argc, then argv and its null, then envp
        lea     r12, [rsp + 8]
        lea     r13, [r12 + rax * 8 + 8]

call_entry:                             # int (*)(const step *first, header *), the C convention
        push    rbx
        push    rbp
        mov     rbx, rdi
        mov     rbp, rsi

step:
        mov     ecx, [rbx + 4]
        mov     rdi, [rbx + 32]
        shr     ecx, 1
        jnc     1f
        movsxd  rdi, dword ptr [rdi]
1:      mov     rsi, [rbx + 40]
        shr     ecx, 1
        jnc     2f
        movsxd  rsi, dword ptr [rsi]
2:      mov     rdx, [rbx + 48]
        shr     ecx, 1
        jnc     3f
        movsxd  rdx, dword ptr [rdx]
3:      mov     r10, [rbx + 56]
        shr     ecx, 1
        jnc     4f
        movsxd  r10, dword ptr [r10]
4:      mov     r8, [rbx + 64]
        shr     ecx, 1
        jnc     5f
        movsxd  r8, dword ptr [r8]
5:      mov     r9, [rbx + 72]
        shr     ecx, 1
        jnc     6f
        movsxd  r9, dword ptr [r9]
6:      test    ecx, ecx
        jz      9f
        shr     ecx, 1
        jnc     7f
        add     rsi, r12
7:      shr     ecx, 1
        jnc     8f
        add     rdx, r12
8:      shr     ecx, 1
        jnc     8f
        add     rdx, r13
8:      shr     ecx, 1
        jnc     9f
        add     rsi, [r12]
9:      movsxd  rax, dword ptr [rbx]
        test    eax, eax
        js      inner
        syscall

store:
        mov     [rbp + 24], rax
        mov     rcx, [rbx + 8]
        test    rcx, rcx
        jz      1f
        mov     [rcx], eax
1:      test    rax, rax
        js      negative
        jz      2f
        movsxd  rcx, dword ptr [rbx + 24]
        jmp     go
2:      movsxd  rcx, dword ptr [rbx + 20]
        jmp     go
negative:
        movsxd  rcx, dword ptr [rbx + 16]
        test    cl, 1
        jnz     fail
go:
        add     rbx, rcx
        jmp     step

fail:
        mov     [rbp], rbx
        mov     [rbp + 8], rax
        mov     rbx, [rbp + 16]
        jmp     step

inner:
        inc     eax
        jnz     rare
        sub     rdi, rsi                # compute: (argument 0 - argument 1) & argument 2
        and     rdi, rdx
        mov     rax, rdi
        jmp     store

rare:
        inc     eax
        jz      return
        xor     eax, eax                # compare: are the bytes at arguments 0 and 1 the same, as many as
        mov     ecx, edx                # argument 2 says, and not none? 0, else 1
        repe cmpsb
        setne   al
        jmp     store

return:
        pop     rbp
        pop     rbx
        ret

interpreter_end:

# Not of the interpreter, and not in any program's file: a signal handler for the host process. The
# thread that runs it goes on with every signal blocked: it writes the mask that sigreturn restores.

signal_entry:                           # void (*)(int, siginfo_t *, ucontext_t *)
        or      qword ptr [rdx + 296], -1 # uc_sigmask
        .byte   0x48, 0xb8              # mov rax, imm64
patch_counter:
        .quad   0
        lock inc dword ptr [rax]
        ret

signal_return:                          # what the kernel wants as SA_RESTORER: rt_sigreturn
        mov     eax, 15
        syscall
