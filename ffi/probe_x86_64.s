# Whether the processor has what cpuid tells by a bit of leaf 7's ebx, x86-64: 1 or 0 into the first eight bytes of what
# is given. A part of the sources that need to know.
        .macro  probe bit
probe_entry:                            # int (*)(void *, const void *), the C convention
        push    rbx
        xor     eax, eax
        cpuid
        xor     ebx, ebx
        cmp     eax, 7
        jb      1f
        mov     eax, 7
        xor     ecx, ecx
        cpuid
        shr     ebx, \bit
        and     ebx, 1
1:      mov     [rdi], rbx
        pop     rbx
        xor     eax, eax
        ret
        .endm
