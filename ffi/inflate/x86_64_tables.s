# The tables of codes, x86-64: a part of x86_64.s, where their form stands.

# A table of codes of the lengths that are given (3.2.2).
#
#    rbp  the lengths     ecx  how many     rbx  each symbol's entry, but for its code
#    r11  the table       r12d how many bits of a code it is looked up by      r15d  how many entries it has
#
# The zero flag says whether they are codes: neither more than there can be nor fewer, but for a single one of
# one bit, and none. Of the codes for lengths there are always as many as there can be. Changes rax, rcx, rdx, rbx, rbp.
make_table:
        push    rsi
        push    r8
        push    r9
        push    r10
        push    r13
        push    r14
        pxor    xmm0, xmm0
        movdqu  [rdi + OF_LENGTH], xmm0
        movdqu  [rdi + OF_LENGTH + 16], xmm0
        movdqu  [rdi + OF_LENGTH + 32], xmm0
        movdqu  [rdi + OF_LENGTH + 48], xmm0
        mov     [rdi + CODES], ecx
        xor     edx, edx
1:      movzx   eax, byte ptr [rbp + rdx]
        inc     dword ptr [rdi + OF_LENGTH + rax*4]
        inc     edx
        cmp     edx, ecx
        jb      1b

        xor     esi, esi                # the longest
        xor     r8d, r8d                # how many are shorter
        mov     eax, 1                  # how many of this length there could be
        mov     edx, 1
2:      mov     [rdi + NEXT + rdx*4], r8d
        mov     ecx, [rdi + OF_LENGTH + rdx*4]
        add     r8d, ecx
        test    ecx, ecx
        cmovnz  esi, edx
        add     eax, eax
        sub     eax, ecx
        js      table_bad
        inc     edx
        cmp     edx, 16
        jb      2b
        mov     [rdi + LONGEST], esi
        mov     r13d, 1
        mov     ecx, r12d
        shl     r13d, cl                # the first table's entries
        test    eax, eax
        jz      3f
        cmp     r12d, META_BITS
        je      table_bad
        cmp     esi, 1
        ja      table_bad
        mov     rdx, rdi
        mov     rdi, r11
        mov     eax, 0x8000
        mov     ecx, r13d
        rep stosd
        mov     rdi, rdx

3:      xor     edx, edx
4:      movzx   eax, byte ptr [rbp + rdx]
        test    eax, eax
        jz      5f
        mov     ecx, [rdi + NEXT + rax*4]
        inc     dword ptr [rdi + NEXT + rax*4]
        mov     [rdi + ORDER + rcx*2], dx
5:      inc     edx
        cmp     edx, [rdi + CODES]
        jb      4b

        xor     r8d, r8d                # the code, its first bit the lowest
        lea     r9, [rdi + ORDER]
        mov     r14d, r13d              # where the next second table begins
        mov     ebp, -1                 # the first bits of those in the latest
        mov     ecx, 1
table_length:
        mov     r10d, [rdi + OF_LENGTH + rcx*4]
        test    r10d, r10d
        jz      table_next_length
table_code:
        movzx   eax, word ptr [r9]
        add     r9, 2
        mov     edx, [rbx + rax*4]
        cmp     ecx, r12d
        ja      table_long
        imul    eax, ecx, 0x101
        add     edx, eax
        mov     eax, 1
        shl     eax, cl
        mov     esi, r8d
6:      mov     [r11 + rsi*4], edx
        add     esi, eax
        cmp     esi, r13d
        jb      6b
        jmp     table_next_code

table_long:
        lea     eax, [r13 - 1]
        and     eax, r8d
        cmp     eax, ebp
        je      8f
        mov     ebp, eax
        # As many bits as the codes that begin alike need.
        mov     [rdi + OF_LENGTH + rcx*4], r10d
        push    rcx
        mov     esi, ecx
        sub     ecx, r12d
        mov     eax, 1
        shl     eax, cl
7:      cmp     esi, [rdi + LONGEST]
        jae     7f
        sub     eax, [rdi + OF_LENGTH + rsi*4]
        jle     7f
        inc     esi
        add     eax, eax
        jmp     7b
7:      mov     ecx, esi
        sub     ecx, r12d
        mov     eax, 1
        shl     eax, cl
        mov     [rdi + SECOND], r14d
        mov     esi, r14d
        shl     esi, 16
        shl     ecx, 8
        or      esi, ecx
        or      esi, r12d
        or      esi, 0xc000
        mov     [r11 + rbp*4], esi
        pop     rcx
        add     r14d, eax
        cmp     r14d, r15d
        ja      table_bad
8:      mov     eax, ecx
        sub     eax, r12d
        imul    esi, eax, 0x101
        add     edx, esi
        push    rcx
        mov     esi, r8d
        mov     ecx, r12d
        shr     esi, cl
        add     esi, [rdi + SECOND]
        mov     ecx, eax
        mov     eax, 1
        shl     eax, cl
        pop     rcx
9:      mov     [r11 + rsi*4], edx
        add     esi, eax
        cmp     esi, r14d
        jb      9b

table_next_code:                        # one more, from the code's last bit on
        mov     eax, 1
        shl     eax, cl
1:      shr     eax, 1
        jz      2f
        xor     r8d, eax
        test    r8d, eax
        jz      1b
2:      dec     r10d
        jnz     table_code
table_next_length:
        inc     ecx
        cmp     ecx, 16
        jb      table_length
        xor     eax, eax
        jmp     table_end
table_bad:
        or      eax, 1
table_end:
        pop     r14
        pop     r13
        pop     r10
        pop     r9
        pop     r8
        pop     rsi
        test    eax, eax
        ret

# What symbols stand for, as entries, but for their codes.

# The order in which the lengths of the codes for lengths come (3.2.7).
meta_order:
        .byte   16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15

        .balign 4
meta_values:
        .set    i, 0
        .rept   19
        .long   i << 16
        .set    i, i + 1
        .endr

literal_values:
        .set    i, 0
        .rept   256
        .long   0x80000000 | i << 16
        .set    i, i + 1
        .endr
        .long   0xa000                  # the end of the block
        # Lengths (3.2.5): eight of one value, then four each for one bit more, and 258, which has a code of its own.
        .set    value, 3
        .rept   8
        .long   value << 16
        .set    value, value + 1
        .endr
        .set    extra, 1
        .rept   5
        .rept   4
        .long   value << 16 | extra
        .set    value, value + (1 << extra)
        .endr
        .set    extra, extra + 1
        .endr
        # The last of these ends one short of 258.
        .long   258 << 16
        .long   0x8000, 0x8000          # no lengths

distance_values:
        .set    value, 1
        .rept   4
        .long   value << 16
        .set    value, value + 1
        .endr
        .set    extra, 1
        .rept   13
        .rept   2
        .long   value << 16 | extra
        .set    value, value + (1 << extra)
        .endr
        .set    extra, extra + 1
        .endr
        .long   0x8000, 0x8000          # no distances
