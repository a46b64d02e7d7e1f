# How blocks begin (3.2.3), x86-64: a part of x86_64.s, where the registers stand. It is entered at `block` or in the
# midst of a block `stored`, and goes on at `codes` when a block's tables are made.

block:
        mov     dword ptr [rdi + STAGE], 0
        cmp     rsi, r13
        ja      need_input
        refill
        take    eax, 1
        mov     [rdi + LAST], eax
        take    eax, 2
        cmp     eax, 1
        je      fixed
        ja      dynamic

# A block without codes, 3.2.4: from the next whole byte on its length, the length's complement, the bytes.
        movzx   ecx, r9b
        shr     ecx, 3
        sub     rsi, rcx
        xor     r8d, r8d
        xor     r9d, r9d
        movzx   eax, word ptr [rsi]
        movzx   edx, word ptr [rsi + 2]
        add     rsi, 4
        mov     [rdi + STORED], eax
        xor     eax, edx
        cmp     eax, 0xffff
        mov     ebx, BAD_STORED
        jne     stop
        mov     dword ptr [rdi + STAGE], 2
stored:
        mov     ecx, [rdi + STORED]
        test    ecx, ecx
        jz      block_end
        mov     rax, r13
        sub     rax, rsi
        jbe     need_input
        mov     rdx, r14
        sub     rdx, r10
        jbe     need_output
        cmp     rcx, rax
        cmova   rcx, rax
        cmp     rcx, rdx
        cmova   rcx, rdx
        sub     [rdi + STORED], ecx
        mov     rax, rdi
        mov     rdi, r10
        rep movsb
        mov     r10, rdi
        mov     rdi, rax
        jmp     stored

# 3.2.6: lengths that everybody knows.
fixed:
        cmp     dword ptr [rdi + HAS_FIXED], 0
        jne     ready
        mov     dword ptr [rdi + HAS_FIXED], 1
        mov     rdx, rdi
        mov     eax, 8
        mov     ecx, 144
        lea     rdi, [rdi + LENGTHS]
        rep stosb
        mov     eax, 9
        mov     ecx, 112
        rep stosb
        mov     eax, 7
        mov     ecx, 24
        rep stosb
        mov     eax, 8
        mov     ecx, 8
        rep stosb
        mov     eax, 5
        mov     ecx, 32
        rep stosb
        mov     rdi, rdx
        mov     dword ptr [rdi + BLOCK_LITERALS], 288
        mov     dword ptr [rdi + BLOCK_DISTANCES], 32
        jmp     tables

# 3.2.7: the lengths of the codes, themselves in a code, of which the lengths come first.
dynamic:
        cmp     eax, 3
        mov     ebx, BAD_BLOCK
        je      stop
        mov     dword ptr [rdi + HAS_FIXED], 0
        mov     ebx, BAD_LENGTHS
        take    eax, 5
        add     eax, 257
        cmp     eax, 286
        ja      stop
        mov     [rdi + BLOCK_LITERALS], eax
        take    eax, 5
        inc     eax
        cmp     eax, 30
        ja      stop
        mov     [rdi + BLOCK_DISTANCES], eax
        take    ebp, 4
        add     ebp, 4
        pxor    xmm0, xmm0
        movdqu  [rdi + LENGTHS], xmm0
        movdqu  [rdi + LENGTHS + 16], xmm0
        lea     r15, [rip + meta_order]
        xor     ebx, ebx
meta_length:
        refill
        take    eax, 3
        movzx   ecx, byte ptr [r15 + rbx]
        mov     [rdi + LENGTHS + rcx], al
        inc     ebx
        cmp     ebx, ebp
        jb      meta_length
        lea     rbp, [rdi + LENGTHS]
        mov     ecx, 19
        lea     rbx, [rip + meta_values]
        lea     r11, [rdi + META]
        mov     r12d, META_BITS
        mov     r15d, 1 << META_BITS
        call    make_table
        mov     ebx, BAD_LENGTHS
        jnz     stop

        xor     ebp, ebp                # the length that is next
        mov     r15d, [rdi + BLOCK_LITERALS]
        add     r15d, [rdi + BLOCK_DISTANCES]
length:
        refill
        mov     eax, r8d
        and     eax, (1 << META_BITS) - 1
        mov     eax, [rdi + META + rax*4]
        consume rax, eax
        shr     eax, 16
        cmp     eax, 16
        jae     repeated
        mov     [rdi + LENGTHS + rbp], al
        inc     ebp
        jmp     length_done
repeated:
        je      previous
        cmp     eax, 18
        je      many_zeros
        take    ecx, 3
        add     ecx, 3
        jmp     zeros
many_zeros:
        take    ecx, 7
        add     ecx, 11
zeros:
        xor     eax, eax
        jmp     repeat
previous:
        test    ebp, ebp
        jz      stop
        movzx   eax, byte ptr [rdi + LENGTHS + rbp - 1]
        take    ecx, 2
        add     ecx, 3
repeat:
        mov     edx, r15d
        sub     edx, ebp
        cmp     ecx, edx
        ja      stop
        mov     rdx, rdi
        lea     rdi, [rdi + LENGTHS + rbp]
        add     ebp, ecx
        rep stosb
        mov     rdi, rdx
length_done:
        cmp     ebp, r15d
        jb      length
        cmp     byte ptr [rdi + LENGTHS + 256], 0
        je      stop                    # a block that could not end

tables:
        lea     rbp, [rdi + LENGTHS]
        mov     ecx, [rdi + BLOCK_LITERALS]
        lea     rbx, [rip + literal_values]
        lea     r11, [rdi + LITERALS]
        mov     r12d, LITERAL_BITS
        mov     r15d, 2342
        call    make_table
        mov     ebx, BAD_LENGTHS
        jnz     stop
        mov     eax, [rdi + BLOCK_LITERALS]
        lea     rbp, [rdi + LENGTHS + rax]
        mov     ecx, [rdi + BLOCK_DISTANCES]
        lea     rbx, [rip + distance_values]
        lea     r11, [rdi + DISTANCES]
        mov     r12d, DISTANCE_BITS
        mov     r15d, 594
        call    make_table
        mov     ebx, BAD_LENGTHS
        jnz     stop
ready:
        mov     dword ptr [rdi + STAGE], 1
