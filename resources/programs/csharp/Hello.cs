using System;

public static class Hello
{
    public static void Main()
    {
        string name = Console.ReadLine();
        Console.WriteLine("Hello, " + name + ", from C#: @NONCE@");
    }
}
